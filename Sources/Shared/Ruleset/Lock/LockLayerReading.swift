internal import Core

// What a save program printed, read for the layer.

extension LockLayer {
  /// - Returns: what the host would run without the layer, and the layer alone: its chains, and of each chain that
  ///   calls one its rules down to the last call, so that a rule above the hook shows, and one below it changes nothing.
  package static func split(_ saved: Ruleset) -> (beneath: Ruleset, layer: Ruleset) {
    guard let index = saved.tables.firstIndex(where: { $0.name == table }),
      saved.tables[index].chains.contains(where: { isOfLayer($0.name) })
    else { return (saved, Ruleset()) }
    var beneath = saved
    var layer = RuleTable(name: table)
    beneath.tables[index].chains = []
    for chain in saved.tables[index].chains {
      guard !isOfLayer(chain.name) else {
        layer.chains.append(chain)
        continue
      }
      let calls = chain.rules.indices.filter { callsLayer(chain.rules[$0]) }
      var rest = chain
      if !calls.isEmpty { rest.rules.removeAll(where: callsLayer) }
      beneath.tables[index].chains.append(rest)
      guard hooked.contains(chain.name) || !calls.isEmpty else { continue }
      // The policy is not the layer's, but a built-in chain that hangs nowhere has none.
      let above = Array(chain.rules.prefix(calls.last.map { $0 + 1 } ?? 0))
      layer.chains.append(RuleChain(name: chain.name, policy: chain.policy.map { _ in "ACCEPT" }, rules: above))
    }
    return (beneath, Ruleset(tables: [layer]))
  }

  /// The first thing that is not as it should be, in words, or nil: chains and hooks, how many rules there are, and
  /// where each leads. A program may print a rule in other words than it was given, so these are not compared.
  ///
  /// - Parameter layer: as `split` gives it.
  package func difference(_ layer: Ruleset) -> String? {
    guard let table = layer[table: Self.table] else { return "its chains are missing" }
    for chain in chains {
      guard let found = table[chain: chain.name] else { return "chain \(chain.name) is missing" }
      guard found.rules.count == chain.rules.count else {
        return "chain \(chain.name) has \(found.rules.count) rules, not \(chain.rules.count)"
      }
      for (index, pair) in zip(found.rules, chain.rules).enumerated()
      where RuleShape(pair.0).target != RuleShape(pair.1).target {
        return "rule \(index + 1) of chain \(chain.name) leads elsewhere than it should"
      }
    }
    for builtIn in Self.hooked {
      let hook = Self.hook(of: builtIn)
      guard let found = table[chain: builtIn], found.rules.contains(hook) else {
        return "\(builtIn) does not call the lockdown"
      }
      guard found.policy != nil else { return "chain \(builtIn) hangs nowhere" }
      guard found.rules[0] == hook else { return "\(builtIn) does not call the lockdown first" }
      guard found.rules.count == 1 else { return "\(builtIn) calls the lockdown more than once" }
    }
    let stray = table.chains.first { !Self.hooked.contains($0.name) && !Self.isOfLayer($0.name) }
    return stray.map { "chain \(SafeText.escape($0.name)) calls the lockdown too" }
  }

  /// Whether no packet meets a rule of the layer. A chain that somebody's rule keeps alive may be left, empty.
  package static func isGone(from saved: Ruleset) -> Bool {
    let chains = (saved[table: table]?.chains ?? []).filter { isOfLayer($0.name) }
    return chains.allSatisfy(\.rules.isEmpty) && (chains.isEmpty || calls(in: saved).allSatisfy { !$0.canBeFedBack })
  }

  /// The rules outside of the layer that call one of its chains.
  static func calls(in saved: Ruleset) -> [Rule] {
    (saved[table: table]?.chains ?? []).filter { !isOfLayer($0.name) }.flatMap { $0.rules.filter(callsLayer) }
  }

  private static func callsLayer(_ rule: Rule) -> Bool {
    // Most rules are told by this alone, and there may be a hundred thousand.
    guard rule.bytes.withUnsafeBufferPointer({ $0.holds("PCLLOCK-") }) else { return false }
    return RuleShape(rule).called.map(isOfLayer) ?? false
  }
}
