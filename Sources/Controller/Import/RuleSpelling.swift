package import Core
internal import Lint
package import Ruleset

/// Rules that say the same, spelled the same. People write matches in any order, leave out what the kernel means anyway,
/// and say `state` where others say `conntrack`; programs print back much of that as it was written.
package enum RuleSpelling {
  /// Of the built-in chains of filter and nat every rule that the language can say is spelled as the language does.
  package static func normal(_ ruleset: Ruleset, _ family: Family) -> Ruleset {
    var normal = ruleset
    for table in normal.tables.indices where ["filter", "nat"].contains(normal.tables[table].name) {
      let name = normal.tables[table].name
      let builtIn = BuiltInChains.chains(of: name) ?? []
      for chain in normal.tables[table].chains.indices where builtIn.contains(normal.tables[table].chains[chain].name) {
        let chainName = normal.tables[table].chains[chain].name
        normal.tables[table].chains[chain].rules = normal.tables[table].chains[chain].rules.map { rule in
          guard let typed = TypedRule(rule, table: name, chain: chainName, family) else { return rule }
          return Rule(text: typed.text(chain: chainName, family), line: rule.line)
        }
      }
    }
    return normal
  }
}
