internal import Core

/// Gateways: what they hide, and whether they forward at all.
struct TranslationLints {
  let subject: LintSubject

  init(_ subject: LintSubject) { self.subject = subject }

  func run() -> [LintFinding] {
    Family.allCases.flatMap { masquerades($0) + forwarding($0) }
  }

  private func masquerades(_ family: Family) -> [LintFinding] {
    guard let chain = subject.rules[family][table: "nat"]?[chain: "POSTROUTING"] else { return [] }
    return chain.rules.compactMap { (rule: RuleView) -> LintFinding? in
      guard rule.isClear, [.jump("MASQUERADE"), .jump("SNAT")].contains(rule.target), rule.source == nil,
        rule.output == nil,
        rule.destination == nil, rule.opaque.isEmpty, let place = subject.place(family, rule)
      else { return nil }
      return LintFinding(
        .masqueradeEverything, at: place,
        "this changes the source of every packet that leaves, whoever sent it and by any interface",
        hint: "say whose packets (`from`) or by which interface (`out`)", subject: "POSTROUTING \(rule.shape)")
    }
  }

  private func forwarding(_ family: Family) -> [LintFinding] {
    guard subject.facts.forwards[family] == false, !subject.facts.forwardsForeign,
      !(family == .ipv6 && subject.facts.closesIPv6), let rule = firstForwarding(family),
      let place = subject.place(family, rule)
    else { return [] }
    let setting = family == .ipv4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"
    return [
      LintFinding(
        .forwardingDisabled, at: place,
        "this rule is for forwarded packets, and the policy does not make the kernel forward",
        hint: "add `sysctl: { \(setting): 1 }`", subject: "\(family)")
    ]
  }

  /// The first rule that only a gateway needs: it lets new connections through, or changes whose they are.
  private func firstForwarding(_ family: Family) -> RuleView? {
    let rules = subject.rules[family]
    let forward = rules[table: "filter"]?[chain: "FORWARD"]?.rules ?? []
    let accept = forward.first { $0.isClear && $0.target == .jump("ACCEPT") && $0.states?.contains(.new) ?? true }
    let sources = rules[table: "nat"]?[chain: "POSTROUTING"]?.rules ?? []
    let translated = sources.first { $0.isClear && $0.jumps(to: ["MASQUERADE", "SNAT"]) && $0.source?.positive != nil }
    let destinations = rules[table: "nat"]?[chain: "PREROUTING"]?.rules ?? []
    return accept ?? translated ?? destinations.first { $0.isClear && $0.jumps(to: ["DNAT"]) && !Self.isLocal($0) }
  }

  /// To the host itself.
  private static func isLocal(_ rule: RuleView) -> Bool {
    rule.targetOptions.contains { $0.hasPrefix("127.") || $0.hasPrefix(":") || $0.hasPrefix("[::1]") || $0 == "::1" }
  }
}
