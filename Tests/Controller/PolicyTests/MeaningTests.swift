import Core
import Lint
import Ruleset
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

@Suite("What policies mean")
struct MeaningTests {
  @Test("Random packets fare in the compiled rules as the manual says, in both families and all hooks")
  func packets() throws {
    var random = MeaningRandom(random: .fresh())
    var counts = (policies: 0, packets: 0, accepted: 0, refused: 0)
    while counts.policies < 150, counts.refused < 150 {
      let policies = random.policies()
      let views: PerFamily<RulesetView>
      do {
        views = try Self.compiled(policies)
      } catch let error as Diagnostics {
        #expect(error.all.allSatisfy { $0.message.contains("no rule") }, "\(error)")
        counts.refused += 1
        continue
      }
      counts.policies += 1
      let meaning = Meaning(policies: policies)
      for _ in 0..<200 {
        let packet = random.packet()
        let wanted = meaning.accepts(packet)
        let passage = Walk(views[packet.family]).run(Self.probe(packet))
        counts.packets += 1
        counts.accepted += wanted ? 1 : 0
        guard passage.verdict == (wanted ? .accepted : .dropped) else {
          let texts = policies.map(\.yaml).joined(separator: "\n")
          Issue.record("\(packet) should be \(wanted ? "accepted" : "dropped"), is \(passage.verdict):\n\(texts)")
          return
        }
      }
    }
    print(
      "\(counts.packets) packets through \(counts.policies) fleets' policies, \(counts.accepted) accepted; \(counts.refused) refused"
    )
    #expect(counts.refused < counts.policies)
    #expect(counts.accepted * 5 > counts.packets && counts.accepted * 5 < counts.packets * 4)
  }

  private static func compiled(_ policies: [MeantPolicy]) throws -> PerFamily<RulesetView> {
    let folder = try PolicyFolder()
    for policy in policies { try folder.write("\(policy.name).yaml", policy.yaml) }
    try folder.write("common.yaml", Meaning.common)
    let fleet = try inventory(Meaning.inventory)
    let host = try #require(fleet.host(named: "h"))
    let compiled = try PolicyCompiler(folder.load(), inventory: fleet)
      .compile(for: host, controllers: Meaning.controllers)
    return try PerFamily { family in
      RulesetView(try Ruleset.parse(policy: compiled.rules[family], file: "rules", family: family), family)
    }
  }

  private static func probe(_ packet: MeantPacket) -> PacketProbe {
    let ways: [String: PacketProbe.Way] = ["input": .input, "output": .output, "forward": .forward]
    let states: [String: ConnectionStates] = [
      "new": .new, "established": .established, "related": .related, "invalid": .invalid, "untracked": .untracked,
    ]
    func peer(_ address: String) -> PacketProbe.Peer { .address(AddressPrefix(matched: address, packet.family)!) }
    var probe = PacketProbe(
      packet.family, ways[packet.hook]!, ProtocolNumber(value: packet.transport), state: states[packet.state]!,
      from: peer(packet.source), to: peer(packet.destination))
    probe.input = packet.input.map { .named($0) } ?? .none
    probe.output = packet.output.map { .named($0) } ?? .none
    probe.sourcePort = packet.sourcePort
    probe.destinationPort = packet.destinationPort
    probe.icmp = ICMPKind(type: packet.icmpType, code: 0)
    probe.now = UTCTime("2026-06-01T00:00:00Z")
    return probe
  }
}

/// Policies of few words, and packets that these words are about.
private struct MeaningRandom {
  var random: Random

  private static let addresses = [
    Family.ipv4: [
      "192.0.2.7", "192.0.3.1", "198.51.100.7", "198.51.100.8", "198.51.100.10", "198.51.100.11", "198.51.100.99",
      "10.0.0.1", "10.5.1.1", "203.0.113.200", "203.0.113.9", "8.8.8.8", "127.0.0.1",
    ],
    .ipv6: [
      "2001:db8:1::5", "2001:db8:1:1::5", "2001:db8:6::9", "2001:db8:7:ffff::1", "2001:db8:20::10", "2001:db8:ff::1",
      "2600::1", "fe80::1", "fe80::2", "::1",
    ],
  ]
  private static let operands = [
    "mixed", "outer", "shared", "controllers", "group:web", "host:other", "${one}", "six", "10.0.0.0/8", "198.51.100.8",
    "2001:db8::/32", "0.0.0.0/0", "::/0",
  ]
  private static let ports: [UInt16] = [9, 22, 25, 53, 67, 68, 80, 500, 546, 547, 4500, 8080, 8441, 8444, 9100]
  private static let interfaces = ["eth0", "eth1", "cali1", "lo"]
  private static let states = ["new", "established", "related", "invalid", "untracked"]

  private mutating func some(_ values: [String]) -> [String] {
    Array(Set((0...random.below(3)).map { _ in random.pick(values) })).sorted()
  }

  mutating func policies() -> [MeantPolicy] {
    let defaults = ["input": random.sometimes(3), "forward": random.sometimes(2), "output": !random.sometimes(3)]
    var policies: [MeantPolicy] = []
    for name in ["a", "b", "c"].prefix(1 + random.below(3)) {
      var policy = MeantPolicy(name: name)
      policy.order = random.pick([10, 50, 50, 90])
      policy.group = random.pick(["all", "web", "inner"])
      // Whoever says a default says the same.
      policy.defaults = defaults.filter { _ in !random.sometimes(3) }
      for section in ["input", "forward", "output", "input_last", "forward_last", "output_last"]
      where !random.sometimes(3) {
        let count = 1 + random.below(section.hasSuffix("_last") ? 2 : 6)
        policy.sections[section] = (0..<count).map { _ in item(section) }
      }
      if random.sometimes(3) {
        policy.raw = (0...random.below(3)).map { _ in
          MeantPolicy.Raw(
            family: random.sometimes(2) ? .ipv4 : .ipv6, hook: random.pick(["input", "forward", "output"]),
            port: random.pick(Self.ports), isAccept: random.sometimes(2))
        }
      }
      policy.isExplicit = random.sometimes(4)
      policies.append(policy)
    }
    // A host's policies say something of both families.
    policies[0].defaults["input"] = defaults["input"]
    if random.sometimes(12) { policies[0].observes = true }
    if random.sometimes(12), !policies[0].observes, policies[0].raw.allSatisfy({ $0.family == .ipv4 }) {
      policies[0].closesIPv6 = true
      for (section, items) in policies[0].sections {
        policies[0].sections[section] = items.map { item in
          var item = item
          item.family = nil
          return item
        }
      }
    }
    return policies
  }

  private mutating func item(_ section: String) -> MeantItem {
    let hook = String(section.prefix { $0 != "_" })
    var item = MeantItem(verb: random.pick(["accept", "accept", "accept", "drop", "drop", "reject", "log", "limit"]))
    if item.verb != "limit", random.sometimes(5) {
      item.word = random.pick(
        ["established", "invalid", "icmp-essential"] + (hook == "forward" ? [] : ["dhcp-client"]))
      return item
    }
    if random.sometimes(2) { item.from = some(Self.operands) }
    if random.sometimes(5) { item.to = some(Self.operands) }
    switch random.below(5) {
    case 0: item.services = some(Meaning.services.keys.sorted())
    case 1: item.protocols = some(["icmp", "icmpv6", "gre", "esp", "vrrp", "99"])
    case 2, 3:
      for _ in 0...random.below(3) {
        let port = random.pick(Self.ports)
        item.ports.append((random.pick(["tcp", "udp", "sctp"]), port...(port + UInt16(random.below(3)))))
      }
    default: break
    }
    if hook != "output", random.sometimes(4) { item.inputs = some(["eth0", "eth1", "cali+", "lo"]) }
    if hook != "input", random.sometimes(4) { item.outputs = some(["eth0", "eth1", "cali+", "lo"]) }
    if item.verb != "limit", random.sometimes(5) { item.states = some(Self.states) }
    if random.sometimes(8) { item.family = random.sometimes(2) ? .ipv4 : .ipv6 }
    item.isOver = random.sometimes(12)
    return item
  }

  mutating func packet() -> MeantPacket {
    var packet = MeantPacket()
    packet.family = random.sometimes(2) ? .ipv4 : .ipv6
    packet.hook = random.pick(["input", "input", "forward", "output"])
    packet.source = random.pick(Self.addresses[packet.family]!)
    packet.destination = random.pick(Self.addresses[packet.family]!)
    packet.input = packet.hook == "output" ? nil : random.pick(Self.interfaces)
    packet.output = packet.hook == "input" ? nil : random.pick(Self.interfaces)
    let icmp: UInt8 = packet.family == .ipv4 ? 1 : 58
    packet.transport = random.pick([6, 6, 6, 17, 17, 132, icmp, icmp, 47, 50, 112, 99])
    packet.sourcePort = random.pick(Self.ports + [50_000])
    packet.destinationPort = random.pick(Self.ports)
    packet.state = random.pick(["new", "new", "new"] + Self.states)
    packet.icmpType = random.pick(packet.family == .ipv4 ? [0, 3, 8, 11, 12, 13] : [1, 2, 4, 128, 129, 130, 137, 143])
    // A whole exchange of an address, which chance would not find.
    if random.sometimes(6) {
      let (source, destination) = packet.family == .ipv4 ? (UInt16(67), UInt16(68)) : (547, 546)
      packet.transport = 17
      (packet.sourcePort, packet.destinationPort) =
        packet.hook == "output" ? (destination, source) : (source, destination)
      if packet.family == .ipv6 { (packet.source, packet.destination) = ("fe80::1", "fe80::2") }
    }
    return packet
  }
}
