import Core
import Ruleset
import Testing

@Suite struct BuiltInIsolateTests {
  private let sources = ["192.0.2.10", "2001:db8::/64"]

  private func rules(_ family: Family, _ sources: [String]) throws -> [String] {
    let ruleset = BuiltInIsolate.ruleset(family, sources: sources, sshPorts: [22, 2222])
    _ = try LockLayer(ruleset, family)
    #expect(try policy(text(ruleset), family).digest == ruleset.digest)
    return ruleset.tables[0].chains.flatMap(\.rules).map { String(decoding: $0.text, as: UTF8.self) }
  }

  @Test func `management gets in on every port of sshd, from its addresses of the family`() throws {
    let ipv4 = try rules(.ipv4, sources)
    #expect(ipv4.contains("-A INPUT -s 192.0.2.10 -p tcp -m tcp --dport 2222 -j RETURN"))
    #expect(!ipv4.contains { $0.contains("2001:db8") })
    let ipv6 = try rules(.ipv6, sources)
    #expect(ipv6.contains("-A INPUT -s 2001:db8::/64 -p tcp -m tcp --dport 22 -j RETURN"))
    #expect(
      ipv6.contains("-A OUTPUT -d 2001:db8::/64 -p tcp -m tcp --sport 22 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"))
    // Known in IPv4 alone: nobody gets in by IPv6.
    #expect(try !rules(.ipv6, ["192.0.2.10"]).contains { $0.contains("--dport 22 ") })
  }

  @Test func `where no management is known SSH is open to all`() throws {
    for family in Family.allCases {
      let rules = try rules(family, [])
      #expect(rules.contains("-A INPUT -p tcp -m tcp --dport 22 -j RETURN"))
      #expect(!rules.contains { $0.contains("--icmp-type 8") || $0.contains("--icmpv6-type 128") })
    }
  }

  @Test func `every chain ends in a drop, and nothing is forwarded`() throws {
    for family in Family.allCases {
      let rules = try rules(family, sources)
      for chain in ["INPUT", "FORWARD", "OUTPUT"] {
        #expect(rules.last { $0.hasPrefix("-A \(chain) ") } == "-A \(chain) -j DROP")
      }
      #expect(!rules.contains { $0.hasPrefix("-A FORWARD") && $0.hasSuffix("RETURN") })
    }
  }
}
