import Core
import Policy
import Testing

@Suite("Raw rules among items, and single ICMP types") struct LanguageRawItemTests {
  @Test("A raw rule stands at its place, in the families it is written for") func places() throws {
    let rules = try language(
      """
      input:
        - accept: { tcp: 22 }
        - raw: "-A INPUT -m mark --mark 0x1 -j DROP"
        - raw: { ipv4: "-A INPUT -s 192.0.2.1/32 -j own" }
        - accept: { tcp: 443 }
      raw:
        ipv4: |
          *filter
          :own - [0:0]
          -A own -j RETURN
          COMMIT
      """)
    let (first, last) = ("-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp -m tcp --dport 443 -j ACCEPT")
    let mark = "-m mark --mark 0x1 -j DROP"
    #expect(rules.lines(.ipv4, "INPUT") == [first, mark, "-s 192.0.2.1/32 -j own", last])
    #expect(rules.lines(.ipv6, "INPUT") == [first, mark, last])
  }

  @Test("A rule that only counts needs no more than its chain") func counting() throws {
    let rules = try language("input:\n  - raw: \"-A INPUT\"\nnat:\n  - raw: { ipv4: \"-A PREROUTING\" }\n").rules
    for (family, rule) in [(Family.ipv4, "-A INPUT"), (.ipv6, "-A INPUT"), (.ipv4, "-A PREROUTING")] {
      #expect(String(decoding: rules[family], as: UTF8.self).split(separator: "\n").contains { $0 == rule })
    }
  }

  @Test("In nat it may be of any built-in chain") func nat() throws {
    let rules = try language(
      """
      nat:
        - redirect: { in: eth0, tcp: 80, to: 8080 }
        - raw: { ipv4: "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.0.0.1" }
        - redirect: { in: eth0, tcp: 81, to: 8080 }
      """)
    #expect(
      rules.lines(.ipv4, "PREROUTING", table: "nat").map { $0.split(separator: " ").last } == [
        "8080", "10.0.0.1", "8080",
      ])
  }

  @Test("forward: explicit brings no accept", arguments: ["forward-port", "balance"]) func forward(verb: String) throws
  {
    let target = verb == "balance" ? "[10.8.0.5, 10.8.0.6]" : "10.8.0.5"
    let item = "\(verb): { in: eth0, tcp: 80, to: \(target)"
    let brought = try language("nat:\n  - \(item) }").lines(.ipv4, "FORWARD")
    #expect(brought.contains { $0.contains("-d 10.8.0.5/32") })
    #expect(try language("nat:\n  - \(item), forward: explicit }").lines(.ipv4, "FORWARD") == [])
  }

  @Test("ICMP types are of their own family") func icmp() throws {
    let rules = try language(
      """
      input:
        - accept: { icmp: [echo-request, 3/4], icmpv6: [packet-too-big, 128], in: eth0 }
        - drop: { icmp: 13 }
      """)
    #expect(
      rules.lines(.ipv4, "INPUT") == [
        "-i eth0 -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "-i eth0 -p icmp -m icmp --icmp-type 3/4 -j ACCEPT",
        "-p icmp -m icmp --icmp-type 13 -j DROP",
      ])
    #expect(
      rules.lines(.ipv6, "INPUT") == [
        "-i eth0 -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT",
        "-i eth0 -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT",
      ])
  }

  @Test(
    "What cannot be meant is refused",
    arguments: [
      "- raw: \"-A FORWARD -j DROP\"", "- raw: \"-I INPUT -j DROP\"", "- raw: \"-j DROP\"", "- raw: \"-A\"",
      "- raw: \"-A INPUT \"",
      "- raw: {}", "- raw: []",
      "- raw: \"-A INPUT -j elsewhere\"", "- raw: \"-A INPUT -s 192.0.2.1/32 -j DROP\"",
      "- raw: { ipv6: \"-A INPUT -s 192.0.2.1/32 -j DROP\" }", "- raw: { ipv4: \"-A INPUT -s example.net -j DROP\" }",
      "- raw: { ipv4: \"-A INPUT -j DROP\\n-A INPUT -j DROP\" }", "- raw: { ipv5: \"-A INPUT -j DROP\" }",
      "- accept: { icmp: 255 }", "- accept: { icmp: 256 }", "- accept: { icmp: 08 }", "- accept: { icmp: 3/ }",
      "- accept: { icmp: packet-too-big }", "- accept: { icmpv6: 1/256 }", "- accept: { icmp: 8, proto: icmp }",
      "- accept: { icmp: 8, family: ipv6 }",
    ]) func refused(item: String)
  {
    #expect(throws: Diagnostics.self) { try language("input:\n  \(item)") }
  }
}
