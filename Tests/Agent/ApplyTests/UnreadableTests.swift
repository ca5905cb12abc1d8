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

  @Test func `rules that nobody can read, or no program prints, are drift, and the report says so`() throws {
    host.firewall.append("-A OUTPUT -m recent --name a\" -j DROP", to: "filter", .ipv4)
    #expect(
      try agent.differences(in: "kernel", .ipv4).first?.hasPrefix("-A unreadable # the rules cannot be read") == true)
    #expect(try agent.differences(in: "kernel", .ipv6).isEmpty)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.families.ipv4.observed != report.families.ipv4.expected)
    #expect(report.families.ipv6.observed == report.families.ipv6.expected)
    // What is not known to be gone is not shown as gone.
    #expect(report.families.ipv4.chains.contains { $0.chain == "PCL:web" })
    host.firewall.saveProblem = FirewallProblem(.refused, program: "iptables-save", family: .ipv4, words: "meta key")
    #expect(
      try agent.differences(in: "kernel", .ipv4) == [
        "-A unreadable # the rules cannot be read: iptables-save: meta key"
      ])
    // A program that is not there says nothing of the rules.
    host.firewall.saveProblem?.kind = .unavailable
    #expect(throws: Refusal.self) { try agent.report(.random(), managementSource: "") }
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
