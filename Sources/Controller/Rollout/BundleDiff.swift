package import Ruleset

/// What changes for one family of a host: its rules, and what a bundle has beside them.
package struct BundleDiff: Sendable {
  package let settings: RulesetDiff
  package let rules: RulesetDiff
  package let sets: RulesetDiff
  package let lockdowns: RulesetDiff

  /// Settings come first, as a long list of rules is cut on a screen, and sets last, as they are long themselves.
  private var parts: [RulesetDiff] { [settings, rules, lockdowns, sets] }

  package var lines: [DiffLine] { parts.flatMap(\.lines) }
  package var added: Int { parts.reduce(0) { $0 + $1.added } }
  package var removed: Int { parts.reduce(0) { $0 + $1.removed } }
  package var isEmpty: Bool { parts.allSatisfy(\.isEmpty) }
}
