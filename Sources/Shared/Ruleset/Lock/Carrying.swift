// Management that comes out of a tunnel lives by the tunnel's own packets, which no management source sends.

extension LockLayer {
  /// Whether packets may come in and go out that could carry others: neither SSH, nor what stays on the host, nor what its
  /// addresses live on. Whose they are is not asked.
  package func mayCarry(sshPorts: [UInt16]) -> Bool {
    let ports = Set(sshPorts.map { "\($0)" })
    return chains.filter { $0.name != Self.prefix + "FORWARD" }.allSatisfy { chain in
      chain.rules.last.map { Self.isDropOfAll($0) } != true || chain.rules.contains { Self.mayCarry($0, ports) }
    }
  }

  private static func isDropOfAll(_ rule: Rule) -> Bool {
    rule.parts()?.count == 1 && RuleShape(rule).target == .jump("DROP")
  }

  private static func mayCarry(_ rule: Rule, _ sshPorts: Set<String>) -> Bool {
    guard RuleShape(rule).target == .jump("RETURN"), let parts = rule.parts(), !parts.contains(where: \.isLoopback)
    else {
      return false
    }
    let ports = parts.filter { !$0.isNegated && FlowPattern.portOptions.contains($0.option) }.compactMap(\.value)
    switch parts.first(where: { CoreOption($0.option) == .protocolName })?.value {
    case "icmp", "1", "ipv6-icmp", "icmpv6", "58": return false
    case "tcp", "6": return ports.isEmpty || !sshPorts.isSuperset(of: ports)
    case "udp", "17": return !leases.contains(Set(ports))
    default: return true
    }
  }

  private static let leases: [Set<String>] = [["67", "68"], ["546", "547"]]
}
