internal import Core
package import Ruleset

/// How many rules and which policy each chain has. A program may print a rule in other words than it was given, and
/// may silently load nothing at all, with success: the shape is what must survive in any case.
package enum RulesetShape {
  /// The first place where `loaded` is not shaped like `intended`, in words, or nil when there is none.
  package static func difference(intended: Ruleset, loaded: Ruleset) -> String? {
    let wanted = intended.declaringAllBuiltInChains().ordered()
    let found = loaded.ordered()
    for table in wanted.tables {
      guard let other = found[table: table.name] else { return "table \(table.name) is missing" }
      if let difference = difference(in: table, other) { return difference }
    }
    for table in found.tables where wanted[table: table.name] == nil {
      return "table \(table.name) is there, though the rules declare none"
    }
    return nil
  }

  private static func difference(in wanted: RuleTable, _ found: RuleTable) -> String? {
    let chains = Dictionary(found.chains.map { ($0.name, $0) }) { first, _ in first }
    for chain in wanted.chains {
      let place = "chain \(chain.name) of table \(wanted.name)"
      guard let other = chains[chain.name] else { return "\(place) is missing" }
      guard chain.policy == other.policy else {
        return "\(place) has policy \(other.policy ?? "-"), not \(chain.policy ?? "-")"
      }
      guard chain.rules.count == other.rules.count else {
        return "\(place) has \(other.rules.count) rules, not \(chain.rules.count)"
      }
    }
    let names = Set(wanted.chains.map(\.name))
    if let extra = found.chains.first(where: { !names.contains($0.name) }) {
      return "chain \(SafeText.escape(extra.name)) of table \(wanted.name) is there, though the rules declare none"
    }
    return nil
  }
}
