import Core
import Ruleset
import Testing

/// Whether a lockdown leaves a tunnel its own packets.
@Suite struct CarryingTests {
  private static func layer(
    input: [String], output: [String], last: (String, String) = ("-j DROP", "-j DROP")
  ) throws -> LockLayer {
    let chains = [("INPUT", input, last.0), ("FORWARD", [], "-j DROP"), ("OUTPUT", output, last.1)]
    let lines =
      chains.map { ":\($0.0) ACCEPT [0:0]" }
      + chains.flatMap { name, rules, last in (rules + [LockRules.nonSYN, last]).map { "-A \(name) \($0)" } }
    return try LockLayer(parsing: Array("*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n".utf8), .ipv4)
  }

  @Test(arguments: Family.allCases) func `what every lockdown lets pass carries nothing`(family: Family) throws {
    let rules = BuiltInIsolate.ruleset(family, sources: ["192.0.2.7", "2001:db8::7"], sshPorts: [22, 2222])
    for kind in ["wireguard", "tun", "gre", "sit", "xfrm", "ppp"] {
      let tunnel = TunnelLink(interface: "t0", kind: kind)
      #expect(try !LockLayer(rules, family).mayCarry(tunnel, sshPorts: [22, 2222]), "\(kind)")
    }
  }

  private static let wireguard = "-p udp -m udp --dport 51820 -j RETURN"
  private static let answers = "-p udp -m udp --sport 51820 -j RETURN"

  static let carriers: [(kind: String, input: String, output: String, carries: Bool)] = [
    ("wireguard", wireguard, answers, true),
    ("wireguard", wireguard, "-o lo -j RETURN", false),
    // Only what one end begins.
    ("wireguard", wireguard, "-p udp -m udp --sport 51820 -m conntrack --ctdir REPLY -j RETURN", false),
    // Names and the time are no tunnel, nor is what travels in one.
    ("wireguard", "-p udp -m udp --sport 53 -j RETURN", "-p udp -m udp --dport 53 -j RETURN", false),
    ("wireguard", "-i t0 -p udp -m udp --dport 7000 -j RETURN", "-o t0 -p udp -m udp --sport 7000 -j RETURN", false),
    ("wireguard", "-i t+ -p udp -m udp --dport 7000 -j RETURN", "-p udp -m udp --sport 7000 -j RETURN", false),
    ("wireguard", "-i eth0 -p udp -m udp --dport 7000 -j RETURN", "-p udp -m udp --sport 7000 -j RETURN", true),
    ("wireguard", "-p tcp -m tcp --dport 3260 -j RETURN", "-p tcp -m tcp --sport 3260 -j RETURN", false),
    ("tun", "-p tcp -m tcp --dport 1194 -j RETURN", "-p tcp -m tcp --sport 1194 -j RETURN", true),
    ("tun", "-p tcp -m tcp --dport 22 -j RETURN", "-p tcp -m tcp --sport 22 -j RETURN", false),
    ("tun", "-p icmp -j RETURN", "-p icmp -j RETURN", false),
    ("gre", "-p gre -j RETURN", "-p 47 -j RETURN", true), ("gre", wireguard, answers, false),
    ("ipip", "-p 4 -j RETURN", "-p 4 -j RETURN", true), ("sit", "-p 41 -j RETURN", "-p 41 -j RETURN", true),
    ("xfrm", "-p esp -j RETURN", "-p esp -j RETURN", true), ("ppp", "-p gre -j RETURN", "-p gre -j RETURN", true),
    ("ppp", "-p icmp -j RETURN", "-p icmp -j RETURN", false),
  ]

  @Test(arguments: carriers.indices) func `a tunnel needs its own packets both ways, whoever begins`(index: Int) throws
  {
    let (kind, input, output, carries) = Self.carriers[index]
    let tunnel = TunnelLink(interface: "t0", kind: kind)
    let layer = try Self.layer(input: [input], output: [output])
    #expect(layer.mayCarry(tunnel, sshPorts: [22]) == carries, "\(kind): \(input), \(output)")
  }

  @Test(arguments: [
    ("-s 203.0.113.0/24 -j DROP", "-d 203.0.113.0/24 -j DROP", true),
    // no-ingress, no-egress: what one end sends may be answers.
    ("-j DROP", "-m conntrack --ctdir REPLY -j DROP", false), ("-m conntrack --ctdir REPLY -j DROP", "-j DROP", false),
    ("-m conntrack --ctdir REPLY -j DROP", "-m conntrack --ctdir REPLY -j DROP", false),
  ]) func `where nothing is kept, both chains must be open`(input: String, output: String, carries: Bool) throws {
    let tunnel = TunnelLink(interface: "wg0", kind: "wireguard")
    let answers = "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"
    let layer = try Self.layer(
      input: [], output: [], last: ("\(answers)\n-A INPUT \(input)", "\(answers)\n-A OUTPUT \(output)"))
    #expect(layer.mayCarry(tunnel, sshPorts: [22]) == carries)
  }
}
