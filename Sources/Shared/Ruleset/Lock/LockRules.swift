package import Core

/// Rules that every lockdown has, without their `-A CHAIN`.
package struct LockRules: Sendable {
  package let input: [String]
  package let output: [String]

  /// The line that every chain has, above all that knows packets by their connection's state.
  package static var nonSYN: String { LockShape.nonSYN }

  /// What stays on the host, and management. It stands above everything else.
  ///
  /// - Parameter sources: management addresses and prefixes of either family. When there are none of either, SSH is
  ///   let in from anywhere, as in the safe policy: a host nobody can reach is not locked but lost.
  package static func door(_ family: Family, sources: [String], sshPorts: [UInt16]) -> LockRules {
    var input = ["-i lo -j RETURN"]
    var output = ["-o lo -j RETURN"]
    let own = of(family, sources)
    let from = sources.isEmpty ? [""] : own.map { "-s \($0) " }
    let to = sources.isEmpty ? [""] : own.map { "-d \($0) " }
    for port in sshPorts {
      input += from.map { "\($0)-p tcp -m tcp --dport \(port) -j RETURN" }
      // It answers there, and calls nobody.
      output += to.map { "\($0)-p tcp -m tcp --sport \(port) ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN" }
    }
    return LockRules(input: input, output: output)
  }

  /// From a host that is jumped through to the SSH of those behind it.
  package static func way(_ family: Family, to hosts: [String], sshPort: UInt16) -> LockRules {
    let own = of(family, hosts)
    return LockRules(
      input: own.map { "-s \($0) -p tcp -m tcp --sport \(sshPort) ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN" },
      output: own.map { "-d \($0) -p tcp -m tcp --dport \(sshPort) -j RETURN" })
  }

  /// What the host's own addresses live on, and echo for management.
  package static func ground(_ family: Family, sources: [String]) -> LockRules {
    let own = of(family, sources)
    return LockRules(
      input: arriving(family) + own.map { "-s \($0) \(echo(family)) -j RETURN" },
      // An ICMP error or an echo to anybody else would tell that there is a host.
      output: leaving(family) + own.map { "-d \($0) -p \(family == .ipv4 ? "icmp" : "ipv6-icmp") -j RETURN" })
  }

  private static func of(_ family: Family, _ sources: [String]) -> [String] {
    sources.filter { $0.utf8.contains(UInt8(ascii: ":")) == (family == .ipv6) }
  }

  private static func echo(_ family: Family) -> String {
    family == .ipv4 ? "-p icmp -m icmp --icmp-type 8" : "-p ipv6-icmp -m icmp6 --icmpv6-type 128"
  }

  /// Leases, ICMP errors, and multicast routers of the link asking who listens, without an answer to which multicast that
  /// is kept ends within minutes; in IPv6 also neighbours and routers, who are no more than one hop away.
  private static func arriving(_ family: Family) -> [String] {
    switch family {
    case .ipv4:
      ["-p udp -m udp --sport 67 --dport 68 -j RETURN"]
        + [3, 11, 12].map { "-p icmp -m icmp --icmp-type \($0) -j RETURN" } + [groups]
    case .ipv6:
      ["-s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j RETURN"]
        + [1, 2, 3, 4].map { "-p ipv6-icmp -m icmp6 --icmpv6-type \($0) -j RETURN" } + neighbours
        + [130, 131, 132, 143].map { "-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type \($0) -j RETURN" }
    }
  }

  private static func leaving(_ family: Family) -> [String] {
    switch family {
    case .ipv4: ["-p udp -m udp --sport 68 --dport 67 -j RETURN", groups]
    case .ipv6:
      ["-s fe80::/10 -p udp -m udp --sport 546 --dport 547 -j RETURN"] + neighbours
        + [131, 132, 143].map { "-p ipv6-icmp -m icmp6 --icmpv6-type \($0) -j RETURN" }
    }
  }

  /// IGMP, within one hop.
  private static let groups = "-d 224.0.0.0/4 -p 2 -m ttl --ttl-eq 1 -j RETURN"

  private static let neighbours = (133...136).map {
    "-p ipv6-icmp -m icmp6 --icmpv6-type \($0) -m hl --hl-eq 255 -j RETURN"
  }
}
