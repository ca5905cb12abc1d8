import Apply
import Core
import Ruleset
import Testing
import Wire

/// What other people can put into the kernel that makes its rules hard or impossible to read must neither keep a change
/// from being taken back nor be mistaken for an empty table.
@Suite struct UnreadableTests {
  let host: FakeHost
  let agent: HostAgent
  let before: PerFamily<String>

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
    try host.apply(agent, Modes.owned2)
    before = host.canonical
  }

  private func begin() throws {
    _ = try ConfirmTests.begin(agent, Modes.owned3, .random(), from: host.connection())
    #expect(host.canonical != before)
  }

  private static let broken = "-A OUTPUT -s 9.9.9.9/32 -m comment --comment \"a\n-A OUTPUT -j ACCEPT\" -j DROP"

  @Test func `a line break in a foreign comment does not keep a change from being taken back`() throws {
    try begin()
    host.firewall.append(Self.broken, to: "filter", .ipv4)
    agent.expire(because: "its time is over")
    #expect(try host.ledger().lastFailure?.result == .reverted)
    #expect(try host.ledger().degraded == nil)
    let lines = host.canonical.ipv4.split(separator: "\n").filter { !Self.broken.split(separator: "\n").contains($0) }
    #expect(lines == before.ipv4.split(separator: "\n"))
    #expect(host.canonical.ipv6 == before.ipv6)
  }

  @Test func `a host with a line break in a foreign comment reports and takes releases`() throws {
    host.firewall.append(Self.broken, to: "filter", .ipv4)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.families.ipv4.expected == report.families.ipv4.observed)
    #expect(try host.apply(agent, Modes.owned3).result == .committed)
    #expect(host.canonical.ipv4.contains(Self.broken))
  }

  @Test func `rules that nobody can read end in the safe policy when a change has to be taken back`() throws {
    try begin()
    host.firewall.append("-A OUTPUT -m recent --name a\" -j DROP", to: "filter", .ipv4)
    agent.expire(because: "its time is over")
    #expect(try host.ledger().degraded != nil)
    #expect(host.canonical.ipv4.contains(":INPUT DROP"))
    #expect(host.canonical.ipv4.contains("--dport 22 -j ACCEPT"))
    #expect(!host.canonical.ipv4.contains("recent"))
  }

  @Test func `a table that only nft can show stops an apply before anything changes`() throws {
    host.firewall.unspeakable = ["filter"]
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Modes.owned3) }
    #expect(refusal?.detail.contains("only nft can show") == true)
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
    #expect(try host.ledger().degraded == nil)
    host.firewall.unspeakable = []
    #expect(try host.apply(agent, Modes.owned3).result == .committed)
  }
}
