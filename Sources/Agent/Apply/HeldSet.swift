internal import Core
internal import Ruleset

/// What the host holds under the name of one of our sets, as `ipset save` printed it.
struct HeldSet {
  /// As it should be: neither timeouts nor anything else that would change what its members mean.
  private let type: [Substring]
  /// By value: programs spell the same address in different ways.
  private let members: Set<AddressPrefix>
  /// Members that are no mere addresses.
  private let others: [String]

  /// Sizes and seeds that the kernel chose; they change no meaning.
  private static let tuning: Set<Substring> = ["hashsize", "maxelem", "bucketsize", "initval"]

  init(saved: [UInt8], name: String) {
    var type: [Substring] = []
    var members: Set<AddressPrefix> = []
    var others: [String] = []
    let beginning = Array("add \(name) ".utf8)
    for line in saved.split(separator: UInt8(ascii: "\n")) {
      if line.starts(with: beginning) {
        let text = String(decoding: line.dropFirst(beginning.count), as: UTF8.self)
        if let member = AddressPrefix(text) { members.insert(member) } else { others.append(text) }
      } else if line.starts(with: "create \(name) ".utf8) {
        var words = String(decoding: line, as: UTF8.self).split(separator: " ").dropFirst(2)
        while let word = words.popFirst() {
          if Self.tuning.contains(word) { _ = words.popFirst() } else { type.append(word) }
        }
      }
    }
    self.type = type
    self.members = members
    self.others = others
  }

  private static func family(_ family: Family) -> Substring { family == .ipv4 ? "inet" : "inet6" }

  /// Nil when it holds exactly this.
  func difference(from set: AddressSet) -> SetDifference? {
    let wantedType: [Substring] = ["hash:net", "family", Self.family(set.family)]
    guard type == wantedType else {
      return SetDifference(family: set.family, name: set.name, kind: otherwise(wantedType), held: digest)
    }
    let missing = set.elements.filter { !members.contains($0) }
    guard !missing.isEmpty || members.count != set.elements.count || !others.isEmpty else { return nil }
    let extra = members.subtracting(set.elements).sorted().map(\.description)
    return SetDifference(
      family: set.family, name: set.name,
      kind: .members(
        missing: missing.map(\.description),
        extra: extra + others.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }), held: digest)
  }

  /// Of all that it holds, in whichever order it was printed.
  private var digest: Digest {
    let texts = members.map(\.description) + others.map(Self.lasting)
    let lines = [type.joined(separator: " ")] + texts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return Digest(of: lines.flatMap { Array("\($0)\n".utf8) })
  }

  /// Without what changes by itself.
  private static func lasting(_ member: String) -> String {
    var words = member.split(separator: " ", omittingEmptySubsequences: false)
    while let index = words.firstIndex(where: moving.contains) {
      words.removeSubrange(index..<min(index + 2, words.count))
    }
    return words.joined(separator: " ")
  }

  private static let moving: Set<Substring> = ["timeout", "packets", "bytes"]

  /// Nil when it is made for observations, whatever it holds: the kernel fills it. How it makes room is not printed by
  /// every version.
  func difference(fromObservations family: Family, name: String) -> SetDifference? {
    let wantedType: [Substring] = ["hash:ip,port", "family", Self.family(family)]
    guard type.filter({ $0 != "forceadd" }) != wantedType + ["counters"] else { return nil }
    return SetDifference(family: family, name: name, kind: otherwise(wantedType))
  }

  /// The kernel swaps sets of one type and family, whatever their options: such a one may stand in our rules.
  private func otherwise(_ wanted: [Substring]) -> SetDifference.Kind {
    type.starts(with: wanted) ? .otherOptions : .otherType
  }
}

/// How a set of ours is not what the bundle says.
struct SetDifference: Hashable {
  enum Kind: Hashable {
    case absent
    /// Another kind of set, which no rule of ours can name.
    case otherType
    /// The same kind with members that time out, or the like.
    case otherOptions
    case members(missing: [String], extra: [String])
    /// In words, why nobody can tell.
    case unreadable(String)
  }
  let family: Family
  let name: String
  let kind: Kind
  /// All that it holds; nil where it is not there, cannot be read, or is the kernel's to fill.
  var held: Digest?
}

/// A kernel setting that is not what the bundle says.
struct SettingDifference: Hashable {
  let key: SysctlKey
  let desired: Int
  /// Nil when there is no such setting, or it cannot be read.
  let observed: Int?
}
