import Core
import Ruleset
import Testing

@Suite struct FlowPatternTests {
  private static let own = Set(["198.51.100.1", "10.1.2.3", "::2"].compactMap { AddressPrefix($0) })

  private func spares(_ rule: String, _ flow: String, _ family: Family = .ipv4) throws -> Bool {
    try isSpared(by: profile(input: [rule]), flow, family)
  }

  private func isSpared(by profile: String, _ flow: String, _ family: Family = .ipv4) throws -> Bool {
    let patterns = FlowPattern.patterns(try layer(profile, family))
    let tuple = try tuple(flow)
    let spares = patterns.contains { $0.spares(tuple, on: Self.own) }
    // Sorted by port they say the same.
    #expect(KeptFlows(patterns, on: Self.own).spare(tuple) == spares)
    return spares
  }

  /// `192.0.2.1 40000 > 198.51.100.1 22`
  private func tuple(_ text: String) throws -> FlowTuple {
    let words = text.split(separator: " ")
    return FlowTuple(
      source: try #require(AddressPrefix(words[0])), sourcePort: try #require(UInt16(words[1])),
      destination: try #require(AddressPrefix(words[3])), destinationPort: try #require(UInt16(words[4])))
  }

  static let cases: [(rule: String, flow: String, isSpared: Bool)] = [
    ("-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", true),
    // Began by the host.
    ("-s 192.0.2.1/32 -p tcp -m tcp --sport 22 -j RETURN", "198.51.100.1 40000 > 192.0.2.1 22", true),
    ("-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 23", false),
    ("-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN", "192.0.2.2 40000 > 198.51.100.1 22", false),
    // The storage that the host asks, seen from its side.
    ("-s 192.0.2.1/32 -p tcp -m tcp --sport 2049 -j RETURN", "192.0.2.1 2049 > 198.51.100.1 700", true),
    ("-s 192.0.2.0/24 -p tcp -m tcp --sport 2049 -j RETURN", "192.0.2.1 2049 > 198.51.100.1 700", true),
    ("-s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", true),
    ("-d 198.51.100.1/32 -p tcp -j RETURN", "192.0.2.1 2049 > 198.51.100.1 700", true),
    // The port is on the wrong side.
    ("-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j RETURN", "192.0.2.1 22 > 198.51.100.1 80", false),
    ("-d 10.0.0.0/8 -p tcp -m tcp --dport 1000:2000 -j RETURN", "192.0.2.1 5 > 10.1.2.3 2000", true),
    ("-d 10.0.0.0/8 -p tcp -m tcp --dport 1000:2000 -j RETURN", "192.0.2.1 5 > 10.1.2.3 2001", false),
    ("-p tcp -m multiport --dports 22,8000:8010 -j RETURN", "192.0.2.1 5 > 10.1.2.3 8010", true),
    ("-p tcp -m multiport --dports 22,8000:8010 -j RETURN", "192.0.2.1 5 > 10.1.2.3 8011", false),
    ("-p tcp -m tcp --dport :100 -j RETURN", "192.0.2.1 5000 > 10.1.2.3 100", true),
    ("-p tcp -m tcp --dport 100: -j RETURN", "192.0.2.1 5 > 10.1.2.3 99", false),
    // Other protocols' rules are about no TCP, and rules that drop spare nothing.
    ("-s 192.0.2.1/32 -p udp -m udp --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", false),
    ("-s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j DROP", "192.0.2.1 40000 > 198.51.100.1 22", false),
    ("-p 6 -m tcp --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", true),
    // What is not understood counts as met.
    ("-s 192.0.2.1/32 -p tcp -m mark --mark 0x1 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", true),
    ("-p tcp ! -s 192.0.2.1/32 -m tcp --dport 22 -j RETURN", "192.0.2.2 40000 > 198.51.100.1 22", true),
    ("-p tcp -d 198.51.100.1 -m tcp ! --dport 22 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 23", true),
    ("-p tcp -d 198.51.100.1 -m multiport --ports 23 -j RETURN", "192.0.2.1 40000 > 198.51.100.1 22", true),
    ("-i lo -j RETURN", "127.0.0.1 40000 > 127.0.0.2 80", true), ("-i lo -j RETURN", "10.0.0.1 4 > 10.0.0.1 80", true),
    ("-i lo -j RETURN", "127.0.0.1 40000 > 10.0.0.1 80", false), ("-i lo -j RETURN", "10.0.0.1 4 > 10.0.0.2 80", false),
    ("-i lo -j RETURN", "2001:db8::1 4 > 2001:db8::1 80", false),
  ]

  @Test(arguments: cases.indices) func `a rule above the line spares what it returns, whoever began it`(
    index: Int
  ) throws {
    let (rule, flow, isSpared) = Self.cases[index]
    #expect(try spares(rule, flow) == isSpared, "\(rule): \(flow)")
  }

  /// The host is 10.1.2.3.
  static let sides: [(chain: String, rule: String, flow: String, isSpared: Bool)] = [
    ("INPUT", "-p tcp -m tcp --dport 443 -j RETURN", "192.0.2.7 40000 > 10.1.2.3 443", true),
    // The kernel saw the answer first.
    ("INPUT", "-p tcp -m tcp --dport 443 -j RETURN", "10.1.2.3 443 > 192.0.2.7 40000", true),
    // A shell of the host's own, to a port that it keeps for others.
    ("INPUT", "-p tcp -m tcp --dport 443 -j RETURN", "10.1.2.3 40000 > 192.0.2.7 443", false),
    ("INPUT", "-p tcp -m tcp --dport 443 -j RETURN", "192.0.2.7 40000 > 192.0.2.8 443", false),
    ("OUTPUT", "-p tcp -m tcp --sport 443 -j RETURN", "192.0.2.7 40000 > 10.1.2.3 443", true),
    ("OUTPUT", "-p tcp -m tcp --sport 443 -j RETURN", "10.1.2.3 40000 > 192.0.2.7 443", false),
    ("OUTPUT", "-p tcp -m tcp --dport 3260 -j RETURN", "10.1.2.3 40000 > 192.0.2.7 3260", true),
    ("OUTPUT", "-p tcp -m tcp --dport 3260 -j RETURN", "192.0.2.7 40000 > 10.1.2.3 3260", false),
    ("FORWARD", "-p tcp -m tcp --dport 443 -j RETURN", "192.0.2.7 40000 > 10.8.0.5 443", true),
    ("FORWARD", "-p tcp -m tcp --dport 443 -j RETURN", "10.1.2.3 40000 > 192.0.2.7 443", false),
    ("FORWARD", "-p tcp -m tcp --dport 443 -j RETURN", "192.0.2.7 40000 > 10.1.2.3 443", false),
  ]

  @Test(arguments: sides.indices) func `a rule spares flows of its own side of the host alone`(index: Int) throws {
    let (chain, rule, flow, isSpared) = Self.sides[index]
    func rules(_ name: String) -> [String] { name == chain ? [rule] : [] }
    let text = profile(input: rules("INPUT"), output: rules("OUTPUT"), forward: rules("FORWARD"))
    #expect(try self.isSpared(by: text, flow) == isSpared, "\(chain) \(rule): \(flow)")
  }

  @Test func `in IPv6 as in IPv4`() throws {
    #expect(try spares("-s 2001:db8::/32 -p tcp -m tcp --dport 22 -j RETURN", "2001:db8::7 4 > ::2 22", .ipv6))
    #expect(try !spares("-s 2001:db8::/32 -p tcp -m tcp --dport 22 -j RETURN", "2001:db9::7 4 > ::2 22", .ipv6))
    #expect(try spares("-i lo -j RETURN", "::1 4 > ::1 22", .ipv6))
    #expect(try !spares("-p tcp -m tcp --dport 22 -j RETURN", "192.0.2.1 4 > 192.0.2.2 22", .ipv6))
  }

  @Test func `rules below the line spare nothing, and each pattern of a side is there once`() throws {
    let rule = "-p tcp -m tcp --dport 22 -j RETURN"
    let below = try layer(profile(last: rule))
    #expect(FlowPattern.patterns(below).isEmpty)
    let above = try layer(profile(input: [rule, rule], output: [rule], forward: [rule]))
    #expect(FlowPattern.patterns(above).count == 3)
  }

  @Test func `an address is the same from its bytes as from its text`() {
    for text in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "127.0.0.1"] {
      let bytes = text.split(separator: ".").compactMap { UInt8($0) }
      #expect(AddressPrefix(bytes: bytes) == AddressPrefix(text))
    }
    #expect(
      AddressPrefix(bytes: [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [7])
        == AddressPrefix("2001:db8::7"))
    #expect(AddressPrefix(bytes: [1, 2, 3]) == nil)
    let loopback = ["127.0.0.1", "127.255.0.0/16", "::1", "128.0.0.1", "0.0.0.0/0", "::", "::2", "7f00::1"]
    #expect(loopback.map { AddressPrefix($0)?.isLoopback } == [true, true, true, false, false, false, false, false])
  }
}
