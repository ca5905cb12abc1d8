/// The part of what a save program printed that is ours: what is compared, hashed and shown.
///
/// Foreign rules do not change it, with one exception: a rule that lets packets past our rules. A hooked chain shows its
/// policy only when we set it; otherwise it stands there as if nobody had.
package struct OwnedView: Hashable, Sendable {
  package let rules: OwnedRules
  package let allowed: [String]

  package init(_ rules: OwnedRules, allowed: [String]) {
    self.rules = rules
    self.allowed = allowed
  }

  /// Our chains, our hooks, the policies we set. What stands above a hook is left out: for judging our own load.
  package func own(_ saved: Ruleset) -> Ruleset { view(saved, showsBypasses: false) }

  /// The same, with every foreign accept above a hook that nobody allowed, in its place before the hook, and the chains
  /// that it calls: for reports.
  package func observed(_ saved: Ruleset) -> Ruleset { view(saved, showsBypasses: true) }

  private func view(_ saved: Ruleset, showsBypasses: Bool) -> Ruleset {
    let tables = BuiltInChains.tableNames.map { name in
      table(saved[table: name] ?? RuleTable(name: name), showsBypasses: showsBypasses)
    }
    return Ruleset(tables: tables.filter { !$0.chains.isEmpty }).ordered()
  }

  private func table(_ saved: RuleTable, showsBypasses: Bool) -> RuleTable {
    var table = RuleTable(name: saved.name, chains: saved.chains.filter { OwnedNames.isOurs($0.name) })
    let hooks = rules.hooks.filter { $0.table == saved.name }
    let policies = rules.policies[saved.name] ?? [:]
    let builtIn = BuiltInChains.chains(of: saved.name) ?? []
    var verdicts = ForeignVerdicts(saved)
    for chain in saved.chains where !OwnedNames.isOurs(chain.name) {
      var shown = RuleChain(name: chain.name, policy: builtIn.contains(chain.name) ? "ACCEPT" : nil)
      if policies[chain.name] != nil { shown.policy = chain.policy }
      shown.rules = chain.rules.filter(\.callsOurs)
      let hook = hooks.first { $0.chain == chain.name }
      if showsBypasses, let hook, let place = chain.rules.firstIndex(of: Self.rule(of: hook)) {
        var judge = BypassJudge(hook, in: rules, allowed: allowed)
        shown.rules = chain.rules.enumerated().compactMap { index, rule in
          if rule.callsOurs { return rule }
          return index < place && judge.forbids(rule, &verdicts) ? rule : nil
        }
      }
      if hook != nil || policies[chain.name] != nil || !shown.rules.isEmpty { table.chains.append(shown) }
    }
    if showsBypasses { addCalled(to: &table, from: saved) }
    addMissing(to: &table, hooks: hooks, policies: policies)
    return table
  }

  /// What a foreign accept lets past is said in the chains that it calls, as they are.
  private func addCalled(to table: inout RuleTable, from saved: RuleTable) {
    var waiting = table.chains.filter { !OwnedNames.isOurs($0.name) }.flatMap(\.rules)
    var shown: Set<String> = []
    while let rule = waiting.popLast() {
      guard let name = RuleShape(rule).called, !OwnedNames.isOurs(name), shown.insert(name).inserted,
        let called = saved[chain: name]
      else { continue }
      waiting += called.rules
      if let index = table.chains.firstIndex(where: { $0.name == name }) {
        table.chains[index].rules = called.rules
      } else {
        table.chains.append(called)
      }
    }
  }

  /// What the save leaves out because the table or chain is not there: built-in chains are then as the kernel starts
  /// with them, and a chain of somebody else who does not run here needs no hook.
  private func addMissing(to table: inout RuleTable, hooks: [OwnedRules.Hook], policies: [String: String]) {
    let builtIn = Set(policies.keys).union(hooks.filter { !$0.isForeign }.map(\.chain))
    for name in builtIn where table[chain: name] == nil {
      table.chains.append(RuleChain(name: name, policy: "ACCEPT"))
    }
    for hook in hooks where hook.isForeign && table[chain: hook.chain] == nil {
      table.chains.append(RuleChain(name: hook.chain, policy: nil, rules: [Self.rule(of: hook)]))
    }
  }

  private static func rule(of hook: OwnedRules.Hook) -> Rule {
    Rule(text: Array("-A \(hook.chain) -j \(hook.target)".utf8))
  }
}
