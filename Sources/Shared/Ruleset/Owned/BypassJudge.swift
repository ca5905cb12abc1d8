/// Which foreign rules of one hooked chain let packets past our rules that these may drop.
///
/// What our own rules say is looked up when the first foreign rule raises the question: on most hosts none does.
struct BypassJudge {
  private let hook: OwnedRules.Hook
  private let rules: OwnedRules
  private let policy: String?
  private let allowed: Set<PlacedMeaning>
  private let allowsAll: Bool
  private lazy var ours = OwnVerdicts(hook, in: rules)

  /// - Parameter rules: what is wanted, not what a host holds: an accept that somebody put into our chain allows nothing.
  init(_ hook: OwnedRules.Hook, in rules: OwnedRules, allowed: [String]) {
    self.hook = hook
    self.rules = rules
    policy = rules.policies[hook.table]?[hook.chain]
    self.allowed = Set(allowed.map { PlacedMeaning(Rule(text: Array($0.utf8))) })
    allowsAll = allowed.contains("*")
  }

  mutating func forbids(_ rule: Rule, _ verdicts: inout ForeignVerdicts) -> Bool {
    guard !allowsAll, verdicts.mayBypass(rule, policy: policy),
      allowed.isEmpty || !allowed.contains(PlacedMeaning(rule))
    else { return false }
    return ours.mayDrop && (ours.accepts.isEmpty || !ours.accepts.contains(RuleMeaning(rule)))
  }
}

/// What our rules behind one hook say.
private struct OwnVerdicts {
  let mayDrop: Bool
  /// Accepts that stand before anything that may drop.
  let accepts: Set<RuleMeaning>

  init(_ hook: OwnedRules.Hook, in rules: OwnedRules) {
    let table = rules.tables.first { $0.name == hook.table } ?? RuleTable(name: hook.table)
    var verdicts = ForeignVerdicts(table)
    // The nat table only sees a flow's first packet, and never drops.
    mayDrop = table.name != "nat" && verdicts.mayDrop(chain: hook.target)
    var accepts: Set<RuleMeaning> = []
    if mayDrop {
      let inner = hook.isForeign ? nil : table[chain: OwnedNames.inner(hook.chain)]
      for rule in (inner ?? table[chain: hook.target])?.rules ?? [] {
        if RuleShape(rule).target == .jump("ACCEPT") { accepts.insert(RuleMeaning(rule)) }
        if verdicts.mayDrop(rule) { break }
      }
    }
    self.accepts = accepts
  }
}
