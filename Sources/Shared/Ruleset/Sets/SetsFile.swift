package import Core

/// The ipsets of one bundle, as the file `sets`: a strict part of what `ipset restore` takes, in one spelling.
///
///     create PCL-0123456789abcdef0123 hash:net family inet hashsize 1024 maxelem 65536
///     add PCL-0123456789abcdef0123 192.0.2.0/24
///
/// Sets stand by name, members in the order of their addresses.
package struct SetsFile: Hashable, Sendable {
  package static let maximumSets = 64
  static let name = BundleFile.sets.fileName

  /// By name.
  package let sets: [AddressSet]
  /// Families whose observations the kernel collects.
  package let observing: Set<Family>

  package static let empty = SetsFile()

  private init() {
    sets = []
    observing = []
  }

  /// Equal sets become one.
  package init(_ sets: some Sequence<AddressSet>, observing: Set<Family> = []) throws(StrictTextProblem) {
    self.sets = Set(sets).sorted { bytewise($0.name, $1.name) }
    self.observing = observing
    for (set, next) in zip(self.sets, self.sets.dropFirst()) where set.name == next.name {
      throw StrictTextProblem(Self.name, "two sets would have the name \(set.name)")
    }
    guard self.sets.count <= Self.maximumSets else {
      throw StrictTextProblem(Self.name, "\(self.sets.count) sets, more than the \(Self.maximumSets) allowed")
    }
    let size = encode().count
    guard size <= BundleFile.sets.maximumSize else {
      throw StrictTextProblem(Self.name, "\(size) bytes, more than the \(BundleFile.sets.maximumSize) allowed")
    }
  }

  package var isEmpty: Bool { sets.isEmpty && observing.isEmpty }

  package var names: Set<String> { Set(sets.map(\.name)).union(observing.map(SetName.observations)) }

  /// Empty when there are no sets; a bundle then has no such file.
  package func encode() -> [UInt8] {
    var parts = sets.map { (name: $0.name, text: $0.text()) }
    parts += observing.map { (SetName.observations($0), ObservationSet.text($0)) }
    return parts.sorted { bytewise($0.name, $1.name) }.flatMap(\.text)
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(StrictTextProblem) -> SetsFile {
    let lines = try bytes.strictLines(of: name, atMost: BundleFile.sets.maximumSize)
    var sets: [AddressSet] = []
    var observing: Set<Family> = []
    var index = 0
    while index < lines.count {
      let start = index
      func problem(_ reason: String) -> StrictTextProblem { StrictTextProblem(name, line: index + 1, reason) }
      let line = String(decoding: lines[index], as: UTF8.self)
      index += 1
      if let family = Family.allCases.first(where: { Array((line + "\n").utf8) == ObservationSet.text($0) }) {
        guard observing.insert(family).inserted else { throw problem("the same set twice") }
        continue
      }
      let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
      guard words.count == 3, words[0] == "create",
        let family = Family.allCases.first(where: { words[2] == AddressSet.type($0) })
      else { throw problem("a line that creates a set must stand here, not '\(line)'") }
      let beginning = Array("add \(words[1]) ".utf8)
      var prefixes: [AddressPrefix] = []
      while index < lines.count, lines[index].starts(with: beginning) {
        let text = String(decoding: lines[index].dropFirst(beginning.count), as: UTF8.self)
        guard let prefix = AddressPrefix(text), prefix.description == text else {
          throw problem("'\(text)' is not an address or prefix in its canonical spelling")
        }
        prefixes.append(prefix)
        index += 1
      }
      let set = try AddressSet(family: family, prefixes: prefixes)
      guard set.elements == prefixes else {
        throw StrictTextProblem(name, line: start + 1, "its members are out of order, or lie within each other")
      }
      guard set.name == words[1] else {
        throw StrictTextProblem(name, line: start + 1, "set \(words[1]) holds what \(set.name) must hold")
      }
      sets.append(set)
    }
    let file = try SetsFile(sets, observing: observing)
    guard file.encode() == bytes else { throw StrictTextProblem(name, "its sets are out of order, or stand twice") }
    return file
  }
}
