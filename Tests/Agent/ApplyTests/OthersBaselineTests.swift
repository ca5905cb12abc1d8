import AgentTestSupport
import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Apply

/// What else filtered packets when it was taken down: when that is, who may say so anew, and what a boot has to do with it.
@Suite struct OthersBaselineTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  private func accepting(_ serial: UInt64) -> Modes.Bundle { Modes.bundle(serial, .owned, [.acceptOthers]) }

  private func others(of agent: HostAgent) throws -> [String] {
    try agent.differences(in: "others", .ipv4).map { String($0.prefix { $0 != ":" }) }
  }

  @Test(arguments: [nil, "", "format 1\n", "what is this\n"])
  func `who edits or removes the baseline hides nothing, until a release accepts what is there`(text: String?) throws {
    host.firewall.otherTables = [OthersTests.table("guard")]
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables.append(OthersTests.table("evil"))
    if let text {
      host.disk.tamper(NotedFile.others.name, Array(text.utf8))
    } else {
      try host.disk.remove(NotedFile.others.name)
    }
    let shown = ["-A inet/evil sha256", "-A inet/guard sha256"]
    #expect(try others(of: agent) == shown)
    // Whatever comes: a restart, a look, a release with another content, the same one again.
    let later = try host.recoveredAgent()
    _ = try later.look(for: [])
    #expect(try others(of: later) == shown)
    try host.apply(later, Modes.owned3)
    #expect(try others(of: later) == shown)
    #expect(try host.apply(later, Modes.bundle(5, .owned)).result == .unchanged)
    #expect(try others(of: later) == shown)
    #expect(try later.differences(in: "disk", .ipv4).count == 1)
    try host.apply(later, accepting(7))
    #expect(try later.isIntact())
    host.firewall.otherTables[1] = OthersTests.table("evil", "y")
    #expect(try others(of: try host.recoveredAgent()) == ["-A inet/evil sha256"])
  }

  @Test func `a release accepts what is there once, whether it changes the rules or not`() throws {
    try host.apply(agent, Modes.owned2)
    for (serial, result) in [(4, Outcome.Result.unchanged), (5, .committed)] as [(UInt64, Outcome.Result)] {
      host.firewall.otherTables = [OthersTests.table("guard", "\(serial)")]
      #expect(try others(of: agent) == ["-A inet/guard sha256"])
      #expect(try host.apply(agent, accepting(serial)).result == result)
      #expect(try agent.isIntact())
    }
    #expect(try agent.report(.random(), managementSource: "").others?.problem == nil)
    host.firewall.otherTables = []
    #expect(try host.apply(agent, accepting(5)).result == .unchanged)
    #expect(try others(of: agent).count == 1)
  }

  @Test func `who brings the bundle of an acceptance once more accepts nothing`() throws {
    try host.apply(agent, accepting(3))
    host.firewall.otherTables = [OthersTests.table("evil")]
    host.firewall.append("-A PCL-INPUT -p tcp -m tcp --dport 8081 -j ACCEPT", to: "filter", .ipv4)
    #expect(try host.apply(agent, accepting(3)).result == .committed)
    #expect(try others(of: agent) == ["-A inet/evil sha256"])
  }

  @Test func `what was accepted and could not be written down then is taken when it can`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [OthersTests.table("vendor")]
    host.firewall.nftablesProblem = Self.busy
    #expect(try host.apply(agent, accepting(3)).result == .committed)
    host.firewall.nftablesProblem = nil
    _ = try agent.look(for: [])
    #expect(try agent.isIntact())
  }

  @Test func `a change that is taken back accepts nothing`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [OthersTests.table("guard")]
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, accepting(3), transaction, from: host.connection())
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect(try others(of: agent) == ["-A inet/guard sha256"])
  }

  @Test func `a baseline that could not be taken is missed, and taken later, but not while the host starts`() throws {
    host.firewall.otherTables = [OthersTests.table("guard")]
    host.firewall.nftablesProblem = Self.busy
    try host.apply(agent, Modes.owned2)
    #expect(try others(of: agent).first?.hasPrefix("-A no-baseline # ") == true)
    host.cutPower()
    _ = try host.agent().restore()
    host.firewall.nftablesProblem = nil
    let later = try host.recoveredAgent()
    // It is looked at again although all is announced.
    #expect(try !later.look(for: []))
    #expect(try later.isIntact() && later.othersBaseline() == nil)
    host.pass(.seconds(295))
    #expect(try later.look(for: []))
    #expect(try later.isIntact())
    let words = try #require(try later.report(.random(), managementSource: "").others?.problem)
    #expect(words.hasPrefix("others-found was not written until "))
    host.firewall.otherTables = []
    #expect(try others(of: later).count == 1)
    host.firewall.otherTables = [OthersTests.table("guard")]
    // The next release says nothing of it any more.
    host.clock.time = host.clock.time + 1
    try host.apply(later, Modes.owned3)
    #expect(try later.report(.random(), managementSource: "").others?.problem == nil)
  }

  @Test func `who allows everything needs no baseline`() throws {
    host.firewall.nftablesProblem = Self.busy
    try host.apply(
      agent,
      Result {
        try SignedBundles.bundle(
          serial: 2, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, foreignAllowed: ["*"])
      })
    #expect(try others(of: agent).isEmpty)
  }

  private static let busy = FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")

  @Test(arguments: [false, true])
  func `what is committed right after a boot does not make half of what software sets up the rule`(
    isAcceptance: Bool
  ) throws {
    host.firewall.otherTables = [OthersTests.table("guard")]
    if isAcceptance { try host.apply(agent, Modes.owned2) }
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    host.firewall.otherTables = [OthersTests.table("guard", "half")]
    try host.apply(later, isAcceptance ? accepting(3) : Modes.owned3)
    #expect(try later.isIntact() && later.othersBaseline() == nil)
    // It is looked at again although all is announced, also for who allows everything.
    #expect(try !later.look(for: []))
    host.firewall.otherTables = [OthersTests.table("guard", "whole")]
    #expect(try later.isIntact())
    host.pass(.seconds(295))
    #expect(try later.look(for: []))
    #expect(try later.isIntact())
    host.firewall.otherTables = [OthersTests.table("guard", "half")]
    #expect(try others(of: later) == ["-A inet/guard sha256"])
  }

  @Test func `a container starts when it does, and not with its machine`() throws {
    host.facts.started = host.boot.now()
    host.firewall.otherTables = [OthersTests.table("guard", "half")]
    try host.apply(agent, Modes.owned2)
    #expect(agent.othersBaseline() == nil)
    host.pass(.seconds(301))
    _ = try agent.look(for: [])
    #expect(agent.othersBaseline() != nil)
  }

  @Test func `what is set up step by step after a boot is no drift before it had its time, or was whole`() throws {
    host.firewall.otherTables = [OthersTests.table("guard"), OthersTests.table("gate")]
    try host.apply(agent, Modes.owned2)
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    host.firewall.otherTables = [OthersTests.table("guard", "half"), OthersTests.table("gate", "half")]
    #expect(try !later.look(for: []))
    #expect(try later.isIntact())
    // It is flushed before it is made anew.
    host.firewall.otherTables = []
    #expect(try later.isIntact())
    host.firewall.otherTables = [OthersTests.table("guard"), OthersTests.table("gate", "half")]
    #expect(try later.isIntact())
    host.firewall.otherTables = [
      OthersTests.table("guard", "other"), OthersTests.table("gate", "half"), OthersTests.table("new"),
    ]
    #expect(try others(of: later) == ["-A inet/guard sha256", "-A inet/new sha256"])
    host.pass(.seconds(295))
    #expect(try later.look(for: []))
    #expect(try others(of: later) == ["-A inet/gate sha256", "-A inet/guard sha256", "-A inet/new sha256"])
  }

  @Test func `a host without nf_tables has a baseline too`() throws {
    host.firewall.backend = .legacy
    host.firewall.hasNftables = false
    host.firewall.append("-A FORWARD -s 192.0.2.9/32 -j DROP", to: "filter", .ipv4)
    try host.apply(agent, Modes.owned2)
    #expect(agent.othersBaseline() != nil)
    #expect(try agent.isIntact())
  }

  @Test func `what comes up after the agent at boot is not missed before it had its time`() throws {
    host.firewall.otherTables = [OthersTests.table("guard"), OthersTests.table("gate")]
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = []
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    #expect(try !later.look(for: []))
    #expect(try later.isIntact())
    host.firewall.otherTables = [OthersTests.table("guard")]
    #expect(try later.isIntact())
    // It was there, and is gone again.
    host.firewall.otherTables = []
    let gone = "# it is gone, or no packet passes through it"
    #expect(try differences(of: later) == ["-A inet/guard \(gone)"])
    host.pass(.seconds(295))
    #expect(try later.look(for: []))
    #expect(try differences(of: later) == ["-A inet/gate \(gone)", "-A inet/guard \(gone)"])
  }

  private func differences(of agent: HostAgent) throws -> [String] { try agent.differences(in: "others", .ipv4) }
}
