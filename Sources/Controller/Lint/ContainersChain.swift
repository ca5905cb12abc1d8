internal import Ruleset

/// The chain that a policy's `containers:` becomes, as its items were meant.
///
/// One `drop` of it is two rules, for what was translated on its way in and for what is routed straight to the bridge.
/// Both are for what comes from outside, and so is what an `accept` before or behind it can change.
enum ContainersChain {
  private static let bridge = InterfacePattern("docker0")

  static func meant(_ chain: ChainView) -> ChainView {
    guard chain.name == OwnedRules.containersChain else { return chain }
    return ChainView(name: chain.name, policy: chain.policy, rules: chain.rules.map(meant))
  }

  private static func meant(_ rule: RuleView) -> RuleView {
    guard rule.isClear else { return rule }
    var rule = rule
    if rule.jumps(to: ["DROP", "REJECT"]) {
      if rule.states == .dnat {
        rule.states = nil
      } else if rule.output?.positive == bridge {
        rule.output = nil
      }
    }
    if rule.input == nil { rule.input = Negatable(bridge, isNegated: true) }
    return rule
  }
}
