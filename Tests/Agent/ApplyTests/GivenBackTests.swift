import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

/// What exclusive rules replaced is given back by whoever gives all up, also when owned rules came in between.
@Suite struct GivenBackTests {
  let host: FakeHost
  let agent: HostAgent
  let found: PerFamily<String>

  init() throws {
    host = try Modes.host()
    found = host.canonical
    agent = try host.recoveredAgent()
    try host.apply(agent, Modes.exclusive2)
  }

  private static let since = "-A OUTPUT -p udp -m udp --dport 9 -j DROP"

  @Test func `removal after owned rules gives back what exclusive ones replaced`() throws {
    try host.apply(agent, Modes.owned3)
    #expect(!host.canonical.ipv4.contains("DOCKER-USER"))
    #expect(try host.recoveredAgent().returnToGeneration0())
    #expect(host.canonical == found)
  }

  @Test func `it stands behind what others have by then, once`() throws {
    try host.apply(agent, Modes.owned3)
    let back = "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd"
    let chain = RuleChain(name: "f2b-sshd", policy: nil, rules: [Rule(text: Array("-A f2b-sshd -j RETURN".utf8))])
    host.firewall.kernel.ipv4["filter"]!.chains.append(chain)
    host.firewall.append("-A INPUT -p udp -j ACCEPT", to: "filter", .ipv4)
    host.firewall.append(back, to: "filter", .ipv4)
    host.firewall.append(Self.since, to: "filter", .ipv4)
    // A table that was never ours, and has changed.
    host.firewall.append("-A POSTROUTING -o wg0 -j MASQUERADE", to: "nat", .ipv4)
    #expect(try agent.returnToGeneration0())
    let left = host.canonical.ipv4
    #expect(left.contains("-A INPUT -p udp -j ACCEPT\n\(back)\n"), "\(left)")
    #expect(left.split(separator: "\n").count { $0 == back } == 1)
    #expect(left.contains("-A f2b-sshd -j RETURN\n-A f2b-sshd -s 203.0.113.9/32"), "\(left)")
    #expect(left.contains(Self.since) && left.contains("-o wg0") && left.contains(":FORWARD DROP"), "\(left)")
    #expect(!left.contains("PCL") && left.contains(":INPUT ACCEPT"), "\(left)")
  }

  @Test(arguments: ["owned", "renewed", "withdrawn", "safe", "rollback", "restart"])
  func `it is remembered by whatever comes in between`(between: String) throws {
    try host.apply(agent, Modes.owned3)
    switch between {
    case "owned": try host.apply(agent, Modes.bundle(4, .owned))
    case "renewed": #expect(try host.apply(agent, Modes.owned5).result == .unchanged)
    case "withdrawn": try host.apply(agent, Modes.withdrawn4)
    case "safe": _ = try agent.obey(LocalOrder(deed: .safe, reason: "test"))
    case "rollback":
      try host.apply(agent, Modes.bundle(4, .owned))
      _ = try agent.obey(LocalOrder(deed: .rollback, reason: "test"))
    default: break
    }
    #expect(!host.canonical.ipv4.contains("DOCKER-USER"))
    #expect(try host.recoveredAgent().returnToGeneration0())
    #expect(host.canonical == found)
  }

  @Test func `a rollback at the console from whole tables to owned rules remembers it`() throws {
    let host = try Modes.host()
    let found = host.canonical
    let agent = try host.recoveredAgent()
    try host.apply(agent, Modes.owned2)
    try host.apply(agent, Modes.exclusive3)
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "test"))
    #expect(host.canonical.ipv4.contains("PCL") && !host.canonical.ipv4.contains("DOCKER-USER"))
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical == found)
  }

  @Test func `whole tables that come again have it to give back too`() throws {
    try host.apply(agent, Modes.owned3)
    try host.apply(agent, Modes.bundle(4, .exclusive))
    #expect(try host.apply(agent, Modes.bundle(5, .withdrawn)).result == .committed)
    #expect(host.canonical == found)
  }

  @Test func `a withdrawal of owned rules leaves other people's as they are by then`() throws {
    try host.apply(agent, Modes.owned3)
    host.firewall.append(Self.since, to: "filter", .ipv4)
    try host.apply(agent, Modes.withdrawn4)
    let nat = ModeTests.foreign(found.ipv4).filter { $0.contains("ROUTING") }
    #expect(ModeTests.foreign(host.canonical.ipv4) == [Self.since] + nat)
  }

  @Test func `a removal that fails takes it out again`() throws {
    try host.apply(agent, Modes.owned3)
    host.firewall.append(Self.since, to: "filter", .ipv4)
    let before = host.canonical
    var isFirst = true
    host.firewall.beforeLoad = { firewall, family in
      guard isFirst, family == .ipv4 else { return }
      // Somebody else has the last word: what is read back is not what was loaded.
      isFirst = false
      firewall.refusals = 1
    }
    #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(host.canonical == before)
    host.firewall.beforeLoad = nil
    host.firewall.beforeSave = { firewall, family in
      guard family == .ipv4, firewall.canonical(.ipv4).contains("DOCKER-USER") else { return }
      firewall.kernel.ipv4["filter"]!.chains[2].rules = []
    }
    #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(host.canonical == before)
    host.firewall.beforeSave = nil
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical.ipv4.contains("DOCKER-USER") && host.canonical.ipv4.contains(Self.since))
  }
}
