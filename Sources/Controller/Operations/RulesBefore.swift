internal import Core
internal import Import
internal import Rollout
internal import Ruleset
internal import Wire

/// The rules that a host had before any of ours, compared with what it shall have.
struct RulesBefore {
  /// Of the tables that the desired rules are about, in their words where both say the same.
  let rules: PerFamily<RulesText>
  let areDesired: Bool

  /// Nil where nothing is known of them: the report has digests alone, which tell only that they are equal.
  ///
  /// - Parameter texts: what the host was just asked for.
  init?(_ report: Report, _ texts: PerFamily<Sweep.Sides?>?, _ desired: DesiredBundle) {
    guard let wanted = desired.rules else { return nil }
    var rules = wanted
    var areDesired = true
    for family in Family.allCases {
      guard let ruleset = try? Ruleset.parse(save: wanted[family].bytes, file: "\(family)") else { return nil }
      if ruleset.digest == report.families[family].save { continue }
      guard let observed = texts?[family]?.observed,
        let saved = try? Ruleset.parse(save: observed, file: "\(family)")
      else { return nil }
      let before = Self.respelled(saved, as: ruleset, family)
      guard before.digest != ruleset.digest else { continue }
      areDesired = false
      rules[family] = RulesText(before.canonical())
    }
    self.rules = rules
    self.areDesired = areDesired
  }

  /// What says the same as a rule of the same chain in `wanted` is spelled as there.
  private static func respelled(_ saved: Ruleset, as wanted: Ruleset, _ family: Family) -> Ruleset {
    var spellings: [Rule: Rule] = [:]
    for (normal, rule) in zip(rules(RuleSpelling.normal(wanted, family)), rules(wanted)) { spellings[normal] = rule }
    var respelled = RuleSpelling.normal(saved, family).restricted(to: Set(wanted.tableNames))
    for table in respelled.tables.indices {
      for chain in respelled.tables[table].chains.indices {
        respelled.tables[table].chains[chain].rules = respelled.tables[table].chains[chain].rules.map {
          spellings[$0] ?? $0
        }
      }
    }
    return respelled.declaringAllBuiltInChains()
  }

  /// A rule names its chain, but not its table; the spelling depends on neither.
  private static func rules(_ ruleset: Ruleset) -> [Rule] {
    ruleset.tables.flatMap { $0.chains.flatMap(\.rules) }
  }
}
