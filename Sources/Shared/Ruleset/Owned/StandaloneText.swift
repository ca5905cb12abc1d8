extension OwnedRules {
  /// Restore text that brings these rules into a kernel nobody has looked at: every policy is said, and every chain
  /// of the filter table that others of our rules may have filled and hooked is there, if only to be emptied.
  package func standaloneText() -> [UInt8] {
    OwnedChange(OwnedChange.Request(wanted: withEveryFilterChain, saved: opposite)).text
  }

  private var withEveryFilterChain: OwnedRules {
    var whole = self
    if !tables.contains(where: { $0.name == "filter" }) { whole.tables.append(RuleTable(name: "filter")) }
    for index in whole.tables.indices where whole.tables[index].name == "filter" {
      for chain in BuiltInChains.chains(of: "filter") ?? []
      where whole.tables[index][chain: OwnedNames.builtIn(chain)] == nil {
        whole.tables[index].chains.append(RuleChain(name: OwnedNames.builtIn(chain), policy: nil))
      }
    }
    return whole
  }

  /// A kernel in which each policy is the other one, so that none can be left out as being there already.
  private var opposite: Ruleset {
    Ruleset(
      tables: policies.keys.sorted(by: bytewise).map { table in
        RuleTable(
          name: table,
          chains: policies[table, default: [:]].sorted { bytewise($0.key, $1.key) }.map { chain, policy in
            RuleChain(name: chain, policy: policy == "ACCEPT" ? "DROP" : "ACCEPT")
          })
      })
  }
}
