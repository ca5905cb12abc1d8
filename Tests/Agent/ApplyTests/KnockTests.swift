import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

@Suite struct KnockTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Modes.host()
    agent = try host.recoveredAgent()
  }

  static let shut = KnockResult.shut([
    ShutPath(family: .ipv4, source: "192.0.2.7", port: 22, culprit: "-A INPUT -s 192.0.2.0/24 -j DROP")
  ])

  @Test func `every way in is tried beside the host's own rules`() throws {
    try host.apply(agent, Modes.owned2)
    let rehearsal = try #require(host.firewall.rehearsals.first { !$0.knock.isEmpty })
    #expect(rehearsal.live.map { String(decoding: $0.ipv4, as: UTF8.self) }?.contains("DOCKER-USER") == true)
    #expect(rehearsal.knock == [KnockPath(source: "192.0.2.7", destination: "192.0.2.1", ports: [22])])
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `a shut way in refuses, and names family, source, port and rule`(
    bundle: Modes.Bundle
  ) throws {
    host.firewall.knock = { _ in Self.shut }
    let before = host.canonical
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, bundle) }
    #expect(refusal?.code == .lockout)
    for word in ["ipv4", "192.0.2.7", "port 22", "-A INPUT -s 192.0.2.0/24 -j DROP"] {
      #expect(refusal?.detail.contains(word) == true)
    }
    #expect(host.canonical == before)
    #expect(host.firewall.loads == 0)
  }

  @Test func `a shut way in goes on when it is ordered, and says so`() throws {
    host.firewall.knock = { _ in Self.shut }
    let outcome = try host.apply(agent, Modes.bundle(2, .owned, [.overrideLockout]))
    #expect(outcome.result == .committed)
    #expect(outcome.detail.contains("192.0.2.0/24"))
  }

  @Test func `a knock that cannot tell warns`() throws {
    host.firewall.knock = { _ in .undecided("a rule uses NFQUEUE") }
    let change = try ConfirmTests.begin(agent, Modes.owned2, .random(), from: host.connection())
    #expect(change.warnings.contains { $0.contains("NFQUEUE") })
  }

  @Test func `live rules that do not load beside ours warn, and the apply goes on`() throws {
    host.firewall.withoutLive = "no such match"  // Then our text, made for them, does not load either.
    let outcome = try host.apply(agent, Modes.owned2)
    #expect(outcome.result == .committed)
    #expect(outcome.detail.contains("which did not load"))
  }

  @Test func `a removal that would shut the managers out changes nothing`() throws {
    let host = try FakeHost()
    let agent = try host.recoveredAgent()
    try host.apply(agent, Modes.owned2)
    let before = host.canonical
    host.firewall.knock = { _ in Self.shut }
    #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(host.canonical == before)
    host.firewall.knock = { _ in .passed }
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical != before)
  }
}
