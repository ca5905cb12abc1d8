internal import Core
internal import Release
internal import Ruleset

/// Rules of both families, ready to be loaded and recognised again.
struct LoadTarget {
  let inputs: PerFamily<RestoreInput>
  /// Digest of what the host's programs print once they are loaded; nil where only the shape can be compared.
  let expected: PerFamily<Digest>?

  /// In words, how what was saved is not what was loaded; nil when it is.
  func difference(_ saved: Ruleset, _ family: Family) -> String? {
    let input = inputs[family]
    let governed = input.governed(saved)
    guard let expected else {
      return RulesetShape.difference(intended: input.ruleset, loaded: governed).map { "\(family): \($0)" }
    }
    guard governed.digest != expected[family] else { return nil }
    let words =
      RulesetShape.difference(intended: input.ruleset, loaded: governed)
      ?? "the rules are as many as expected but not the same"
    return "\(family): \(words)"
  }
}

/// Everything one apply may need, built in memory before the host is touched, so that going back asks nothing of the
/// disk.
struct Targets {
  var new: LoadTarget?
  /// Nil when what the journal calls committed cannot be read back: then the only way back is the safe policy.
  var old: LoadTarget?
  var safe: LoadTarget

  subscript(side: ApplyMachine.Side) -> LoadTarget? {
    switch side {
    case .new: new
    case .old: old
    case .safe: safe
    }
  }
}

/// Rules and who manages the host, as a bundle or generation 0 says.
struct KnownRules {
  var rulesets: PerFamily<Ruleset>
  var sources: [String]
  var expected: PerFamily<Digest>

  var tables: PerFamily<Set<String>> { rulesets.map { _, ruleset in Set(ruleset.tableNames) } }
}
