import Core
import Ruleset
import Testing

/// Whether a lockdown leaves a tunnel its own packets.
@Suite struct CarryingTests {
  private static func layer(input: [String], output: [String], last: String = "-j DROP") throws -> LockLayer {
    let chains = [("INPUT", input, last), ("FORWARD", [], "-j DROP"), ("OUTPUT", output, last)]
    let lines =
      chains.map { ":\($0.0) ACCEPT [0:0]" }
      + chains.flatMap { name, rules, last in (rules + [LockRules.nonSYN, last]).map { "-A \(name) \($0)" } }
    return try LockLayer(parsing: Array("*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n".utf8), .ipv4)
  }

  @Test(arguments: Family.allCases) func `what every lockdown lets pass carries nothing`(family: Family) throws {
    let rules = BuiltInIsolate.ruleset(family, sources: ["192.0.2.7", "2001:db8::7"], sshPorts: [22, 2222])
    #expect(try !LockLayer(rules, family).mayCarry(sshPorts: [22, 2222]))
  }

  static let carriers = [
    ("-p udp -m udp --dport 51820 -j RETURN", "-p udp -m udp --sport 51820 -j RETURN", true),
    ("-p esp -j RETURN", "-p esp -j RETURN", true),
    ("-p tcp -m tcp --dport 1194 -j RETURN", "-p tcp -m tcp --sport 1194 -j RETURN", true),
    ("-p tcp -m tcp --dport 22 -j RETURN", "-p tcp -m tcp --sport 22 -j RETURN", false),
    ("-p udp -m udp --dport 51820 -j RETURN", "-o lo -j RETURN", false),
    ("-p icmp -j RETURN", "-p icmp -j RETURN", false),
  ]

  @Test(arguments: carriers.indices) func `a tunnel needs its packets both ways`(index: Int) throws {
    let (input, output, carries) = Self.carriers[index]
    #expect(try Self.layer(input: [input], output: [output]).mayCarry(sshPorts: [22]) == carries)
    #expect(try Self.layer(input: [], output: [], last: "-s 203.0.113.0/24 -j DROP").mayCarry(sshPorts: [22]))
  }
}
