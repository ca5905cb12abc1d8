package import Core

/// Names of the ipsets that are ours. The kernel takes 31 bytes.
package enum SetName {
  private static let prefix = "PCL-"
  private static let digits = 20
  private static let temporarySuffix = "-new"

  /// Of a set that says, in its name, what it holds.
  static func holding(_ digest: Digest) -> String { prefix + digest.hex.prefix(digits) }

  /// Of the set that the kernel fills with what `observe` lists.
  package static func observations(_ family: Family) -> String { "\(prefix)OBSERVE-\(family == .ipv4 ? 4 : 6)" }

  /// A set under this name is on its way to take the place of the other.
  package static func temporary(for name: String) -> String { name + temporarySuffix }

  /// Whether only we make sets of this name, and so may delete it.
  package static func isOurs(_ name: String) -> Bool {
    guard name.hasPrefix(prefix) else { return false }
    let base = name.hasSuffix(temporarySuffix) ? String(name.dropLast(temporarySuffix.count)) : name
    return isContent(base) || Family.allCases.contains { base == observations($0) }
  }

  private static func isContent(_ name: String) -> Bool {
    let rest = name.utf8.dropFirst(prefix.utf8.count)
    return rest.count == digits
      && rest.allSatisfy { isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) }
  }

  private static let options: Set<String> = ["--match-set", "--add-set", "--del-set", "--map-set"]

  /// Our sets that rules name.
  package static func named(in rules: Ruleset) -> Set<String> { named(in: rules, where: isOurs) }

  /// Everybody else's.
  package static func foreign(in rules: Ruleset) -> Set<String> { named(in: rules) { !isOurs($0) } }

  private static func named(in rules: Ruleset, where isWanted: (String) -> Bool) -> Set<String> {
    var names: Set<String> = []
    for rule in rules.tables.lazy.flatMap(\.chains).flatMap(\.rules) {
      names.formUnion(named(by: rule).filter(isWanted))
    }
    return names
  }

  /// Anybody's sets that the lines of a text for a restore program name.
  package static func named(in text: [UInt8]) -> Set<String> {
    var names: Set<String> = []
    for line in text.split(separator: newline) { names.formUnion(named(by: Rule(bytes: line))) }
    return names
  }

  /// None of a rule whose words cannot be told apart: no program of the host's takes it.
  private static func named(by rule: Rule) -> [String] {
    guard rule.bytes.withUnsafeBufferPointer({ $0.holds("-set") }), let words = try? rule.words() else { return [] }
    var names: [String] = []
    var rest = words[...]
    while let option = rest.popFirst()?.text {
      if options.contains(option), let name = rest.popFirst() {
        names.append(name.text)
      } else if ValueForm.takesAnyText(option) {
        _ = rest.popFirst()
      }
    }
    return names
  }
}
