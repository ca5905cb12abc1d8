internal import Core

// Management that comes out of a tunnel lives by the tunnel's own packets, which no management source sends.

/// A link whose packets travel inside others.
package struct TunnelLink: Hashable, Sendable {
  package let interface: String
  /// As the kernel calls it: `wireguard`, `tun`, `gre`.
  package let kind: String

  package init(interface: String, kind: String) {
    self.interface = interface
    self.kind = kind
  }

  /// What packets of its own may be; nil where nobody can tell.
  fileprivate var protocols: Set<Carrier>? {
    switch kind {
    case "wireguard", "vxlan", "geneve", "bareudp": [.udp]
    case "tun": [.udp, .tcp]
    case "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan": [.other(47)]
    case "ipip": [.other(4)]
    case "sit": [.other(41), .other(4)]
    case "ip6tnl": [.other(41), .other(4), .other(47)]
    case "vti", "vti6", "xfrm": [.other(50), .other(51), .udp]
    default: nil
    }
  }
}

private enum Carrier: Hashable {
  case tcp, udp
  case other(UInt8)

  /// Nil for any protocol, and for a name that is not known here.
  init?(_ name: String) {
    switch name {
    case "tcp", "6": self = .tcp
    case "udp", "17": self = .udp
    default:
      let names: [String: UInt8] = [
        "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "ipv6": 41, "gre": 47, "esp": 50, "ipv6-crypt": 50, "ah": 51,
        "ipv6-icmp": 58, "icmpv6": 58,
      ]
      guard let number = names[name] ?? UInt8(name), number != 0 else { return nil }
      self = .other(number)
    }
  }
}

extension LockLayer {
  /// Whether packets of such a tunnel may come in and go out, whichever end begins, by rules that are neither for SSH, nor
  /// for what stays on the host, nor for what its addresses live on. Whose they are is not asked.
  package func mayCarry(_ tunnel: TunnelLink, sshPorts: [UInt16]) -> Bool {
    chains.filter { $0.name != Self.prefix + "FORWARD" }.allSatisfy { chain in
      !chain.rules.contains { $0.dropsByStateAlone } || chain.rules.contains { $0.mayCarry(tunnel, Set(sshPorts)) }
    }
  }
}

extension Rule {
  /// Everything, or all answers: what a tunnel's end sends may be either.
  fileprivate var dropsByStateAlone: Bool {
    guard RuleShape(self).target == .jump("DROP"), let parts = parts() else { return false }
    return parts.allSatisfy { part in
      let core = CoreOption(part.option)
      return core == .jump || core == .match && part.value == "conntrack" || part.option.hasPrefix("--ct")
    }
  }

  fileprivate func mayCarry(_ tunnel: TunnelLink, _ sshPorts: Set<UInt16>) -> Bool {
    guard RuleShape(self).target == .jump("RETURN"), let parts = parts(),
      !parts.contains(where: { $0.isLoopback || $0.isOf(tunnel.interface) || $0.asksState })
    else { return false }
    guard let part = parts.first(where: { CoreOption($0.option) == .protocolName }), !part.isNegated,
      let name = part.value, let carrier = Carrier(name.lowercased())
    else { return true }
    guard tunnel.protocols?.contains(carrier) ?? !Carrier.signalling.contains(carrier) else { return false }
    let ports = parts.filter { !$0.isNegated && FlowPattern.portOptions.contains($0.option) }
      .flatMap { ($0.value ?? "").split(separator: ",").map { UInt16($0) } }
    let others = carrier == .tcp ? sshPorts : Carrier.servers
    return ports.isEmpty || !ports.allSatisfy { $0.map(others.contains) ?? false }
  }
}

extension Carrier {
  fileprivate static let signalling: Set<Carrier> = [.other(1), .other(2), .other(58)]
  /// Names, leases, the time and the log: what profiles keep, and no tunnel.
  fileprivate static let servers: Set<UInt16> = [53, 67, 68, 123, 514, 546, 547]
}

extension RulePart {
  /// Packets that come out of that link, or go into it, carry it no more.
  fileprivate func isOf(_ interface: String) -> Bool {
    let core = CoreOption(option)
    guard core == .input || core == .output, !isNegated, let value else { return false }
    return value == interface || value.hasSuffix("+") && interface.hasPrefix(value.dropLast())
  }

  fileprivate var asksState: Bool {
    CoreOption(option) == .match && (value == "conntrack" || value == "state")
  }
}
