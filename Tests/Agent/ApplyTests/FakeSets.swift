import Apply
import Core
import Ruleset

/// A kernel's ipsets, and what `ipset restore` does with them, line by line.
struct FakeSets: Equatable {
  struct Held: Equatable {
    /// `hash:net family inet …`
    var type: String
    var members: Set<String> = []
  }

  var all: [String: Held] = [:]
  /// So many more times the kernel has not yet let go of what is to be destroyed.
  var late = 0

  /// How this version prints a member.
  var spelling: @Sendable (String) -> String = { $0 }

  static func == (a: FakeSets, b: FakeSets) -> Bool { a.all == b.all }

  func saved(_ name: String) throws(FirewallProblem) -> [UInt8] {
    guard let set = all[name] else { throw Self.refusal("the set with the given name does not exist") }
    // In no order that means anything, and with what the kernel adds.
    let lines = set.members.map { "add \(name) \(spelling($0))\n" }
    return Array(("create \(name) \(set.type) bucketsize 12 initval 0x4c6c4dc5\n" + lines.joined()).utf8)
  }

  /// - Parameters:
  ///   - used: names that rules refer to.
  ///   - limit: how many lines get done before the program dies.
  mutating func run(
    _ text: [UInt8], used: Set<String>, exist: Bool = false, lines limit: Int = .max
  ) throws(FirewallProblem) {
    for line in text.split(separator: 10).prefix(limit) {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 2).map(String.init)
      switch (words[0], words.count) {
      case ("create", 3):
        guard all[words[1]] == nil || exist else { throw Self.refusal("set exists: \(words[1])") }
        all[words[1]] = Held(type: words[2])
      case ("add", 3):
        guard all[words[1]]?.members.insert(words[2]).inserted == true else { throw Self.refusal("\(words)") }
      case ("swap", 3):
        guard let one = all[words[1]], let other = all[words[2]] else { throw Self.refusal("nothing to swap") }
        guard Self.kind(one) == Self.kind(other) else { throw Self.refusal("sets of two types") }
        (all[words[1]], all[words[2]]) = (other, one)
      case ("rename", 3):
        guard let set = all[words[1]], all[words[2]] == nil else { throw Self.refusal("cannot rename") }
        guard !used.contains(words[1]) else { throw Self.refusal("in use") }
        all[words[1]] = nil
        all[words[2]] = set
      case ("destroy", 2):
        guard all[words[1]] != nil else { throw Self.refusal("no set \(words[1])") }
        late -= 1
        guard late < 0, !used.contains(words[1]), !isListed(words[1]) else {
          throw Self.refusal("Set cannot be destroyed: it is in use by a kernel component")
        }
        all[words[1]] = nil
      default: throw Self.refusal("\(words)")
      }
    }
  }

  private func isListed(_ name: String) -> Bool {
    all.values.contains { $0.type.hasPrefix("list:set") && $0.members.contains(name) }
  }

  private static func kind(_ set: Held) -> [Substring] { Array(set.type.split(separator: " ").prefix(3)) }

  static func names(in kernel: FakeFirewall.Kernel) -> Set<String> {
    Family.allCases.reduce(into: []) { names, family in
      for rule in kernel[family].values.flatMap(\.chains).flatMap(\.rules) {
        let words = ((try? rule.words()) ?? []).map(\.text)
        for (option, name) in zip(words, words.dropFirst()) where option.hasSuffix("-set") { names.insert(name) }
      }
    }
  }

  /// The programs refuse a rule whose set is not there.
  func requireAll(namedIn kernel: FakeFirewall.Kernel) throws(FirewallProblem) {
    guard let missing = Self.names(in: kernel).first(where: { all[$0] == nil }) else { return }
    throw FirewallProblem(.refused, program: "restore", family: nil, words: "Set \(missing) doesn't exist.")
  }

  private static func refusal(_ words: String) -> FirewallProblem {
    FirewallProblem(.refused, program: "ipset", family: nil, words: words)
  }
}
