import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// What else filters packets, on a host in memory.
@Suite struct OthersTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  static func table(
    _ name: String, _ words: String = "x", family: NftablesFamily = .inet, isHooked: Bool = true, drops: Bool = true
  ) -> NftablesTable {
    NftablesTable(
      family: family, name: name,
      chains: [
        NftablesChain(
          name: "c", hook: isHooked ? KernelHooks.expected(table: "filter", chain: "INPUT") : nil, rules: 1,
          drops: drops,
          digest: Digest(of: words.utf8))
      ])
  }

  private func differences(_ family: Family = .ipv4) throws -> [String] { try agent.differences(in: "others", family) }

  @Test func `what is there at first is read when the commit is written down, since reading may outlast a deadline`()
    throws
  {
    var asked = 0
    var waited = 0
    host.firewall.otherBackendIsAsked = { [host] in
      asked += 1
      if (try? host.ledger())?.open != nil { waited += 1 }
    }
    try host.apply(agent, Modes.owned2)
    #expect(asked > 0 && waited == 0)
    #expect(agent.othersBaseline() != nil)
  }

  @Test func `a table that was there at first is no drift until it changes`() throws {
    host.firewall.otherTables = [Self.table("guard")]
    try host.apply(agent, Modes.owned2)
    #expect(try agent.isIntact())
    host.firewall.otherTables = [Self.table("guard", "y")]
    #expect(try !agent.isIntact())
    #expect(try differences().count == 1)
    #expect(try differences()[0].hasPrefix("-A inet/guard sha256:"))
    let expected = try agent.text(TextRequest(family: .ipv4, side: .expected))
    #expect(String(decoding: expected, as: UTF8.self).contains("*others\n:inet/guard - [0:0]\n-A inet/guard sha256:"))
    // Neither a restart nor another release makes it what is expected.
    let next = try host.recoveredAgent()
    try host.apply(next, Modes.owned3)
    #expect(try !next.isIntact())
    host.firewall.otherTables = [Self.table("guard")]
    #expect(try next.isIntact())
  }

  @Test(arguments: [
    (Self.table("guard"), Manifest.Mode.owned, true), (Self.table("guard", isHooked: false), .owned, false),
    (Self.table("docker-bridges"), .owned, false), (Self.table("f2b-table"), .owned, false),
    (Self.table("netavark"), .exclusive, true), (Self.table("guard", isHooked: false), .exclusive, false),
    (Self.table("guard", family: .ipv6), .owned, true), (Self.table("gu\u{1b}[2Jard\n*filter"), .owned, true),
  ])
  func `a new table is drift where packets pass through it and nobody known keeps it`(
    table: NftablesTable, mode: Manifest.Mode, isDrift: Bool
  ) throws {
    try host.apply(agent, Modes.bundle(2, mode))
    host.firewall.otherTables = [table]
    #expect(try agent.isIntact() != isDrift)
    let shown = try differences(table.family == .ipv6 ? .ipv6 : .ipv4)
    #expect(shown.isEmpty != isDrift)
    #expect(shown.allSatisfy { $0.utf8.allSatisfy { (0x20..<0x7f).contains($0) } })
    let reported = try #require(try agent.report(.random(), managementSource: "").others?.tables)
    #expect(reported.map(\.digest) == [table.digest])
  }

  @Test func `what the release allows is no drift, and what it denies is, whoever keeps it`() throws {
    func bundle(denies: Bool, allowed: [String]) throws -> Samples.Bundle {
      try SignedBundles.bundle(
        serial: 2, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, deniesForeign: denies, foreignAllowed: allowed)
    }
    try host.apply(agent, Result { try bundle(denies: false, allowed: ["*"]) })
    host.firewall.otherTables = [Self.table("guard"), Self.table("docker-bridges")]
    #expect(try agent.isIntact())
    let strict = try FakeHost()
    let other = try strict.recoveredAgent()
    try Modes.settle(Modes.docker, on: strict)
    try strict.apply(other, Result { try bundle(denies: true, allowed: []) })
    #expect(try other.isIntact())
    strict.firewall.append("-A FORWARD -i docker0 -j ACCEPT", to: "filter", .ipv4)
    #expect(try other.differences(in: "others", .ipv4).map { $0.prefix(23) } == ["-A rules/docker sha256:"])
    strict.firewall.otherTables = [Self.table("docker-bridges")]
    #expect(try other.differences(in: "others", .ipv4).contains { $0.hasPrefix("-A inet/docker-bridges") })
  }

  private func strict(_ serial: UInt64, _ chains: String...) -> Modes.Bundle {
    Result {
      try SignedBundles.bundle(
        serial: serial,
        ipv4: "*filter\n" + chains.map { ":\($0) DROP [0:0]\n" }.joined() + "-A INPUT -i lo -j ACCEPT\nCOMMIT\n",
        ipv6: Modes.owned6, mode: .owned, deniesForeign: true)
    }
  }

  @Test func `a release that takes a policy over, or gives it up, makes nobody else's rules other ones`() throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    try host.apply(agent, strict(2, "INPUT"))
    #expect(try agent.isIntact())
    try host.apply(agent, strict(3, "INPUT", "FORWARD"))
    #expect(try differences(of: agent).isEmpty)
    try host.apply(agent, strict(4, "INPUT"))
    #expect(try differences(of: agent).isEmpty)
    host.firewall.setPolicy("DROP", of: "OUTPUT", "filter", .ipv4)
    #expect(try differences(of: agent).map { $0.prefix(31) } == ["-A policy/filter/OUTPUT sha256:"])
    host.firewall.setPolicy("ACCEPT", of: "OUTPUT", "filter", .ipv4)
    #expect(try differences(of: agent).isEmpty)
    host.firewall.setPolicy("ACCEPT", of: "FORWARD", "filter", .ipv4)
    #expect(try differences(of: agent) == ["-A policy/filter/FORWARD # it is gone, or no packet passes through it"])
  }

  @Test func `a policy that was ours when the baseline was taken is nobody's afterwards`() throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    try host.apply(agent, strict(2, "INPUT", "FORWARD"))
    try host.apply(agent, strict(3, "INPUT"))
    #expect(try differences(of: agent).isEmpty)
    host.firewall.append("-A FORWARD -i docker0 -j ACCEPT", to: "filter", .ipv4)
    #expect(try differences(of: agent).map { $0.prefix(23) } == ["-A rules/docker sha256:"])
  }

  @Test func `a baseline of an agent that took policies for rules still holds`() throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    try host.apply(agent, strict(2, "INPUT"))
    let found = try agent.report(.random(), managementSource: "").others?.chains ?? []
    let lines = found.map { "\($0.family)/rules/\($0.ownerWord ?? "others") \($0.digest)" }
    let old = Array((["format 1"] + lines).map { $0 + "\n" }.joined().utf8)
    try agent.writeNoted(.others, old, isLate: false)
    let read = try #require(OthersBaseline(parsing: old))
    #expect(OthersBaseline(parsing: read.encode()) == read)
    #expect(try agent.isIntact())
    host.firewall.setPolicy("ACCEPT", of: "FORWARD", "filter", .ipv4)
    #expect(try !differences(of: agent).isEmpty)
  }

  @Test func `sets of known software are looked into where it is judged, and once for what was there at first`() throws
  {
    try host.apply(agent, Modes.owned2)
    // Of known software, which a later release may deny.
    #expect(host.firewall.scopes.filter { $0 == .ofAll }.count == 1)
    _ = try agent.report(.random(), managementSource: "")
    #expect(host.firewall.scopes.last == .ofNobodyKnown)
    try host.apply(
      agent,
      Result {
        try SignedBundles.bundle(
          serial: 3, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, deniesForeign: true)
      })
    _ = try agent.report(.random(), managementSource: "")
    #expect(host.firewall.scopes.last == .ofAll)
    try host.apply(agent, Modes.bundle(4, .exclusive))
    _ = try agent.report(.random(), managementSource: "")
    #expect(host.firewall.scopes.last == .ofAll)
  }

  @Test func `a set with too many members is named in the report, and is no drift`() throws {
    host.firewall.otherTables = [Self.table("crowd")]
    host.firewall.otherTables[0].largeSets = 2
    try host.apply(agent, Modes.owned2)
    #expect(try agent.isIntact())
    let words =
      "sets without names, or maps of verdicts, with too many members, to compare what is in them: inet crowd has 2"
    #expect(try agent.report(.random(), managementSource: "").others?.problem == words)
  }

  @Test func `a table with too many sets is named in the report, and is no drift`() throws {
    host.firewall.otherTables = [Self.table("crowd")]
    host.firewall.otherTables[0].unreadSets = 12_000
    try host.apply(agent, Modes.owned2)
    #expect(agent.othersBaseline() != nil)
    #expect(try agent.isIntact())
    _ = try agent.look(for: [])
    let words = try agent.report(.random(), managementSource: "").others?.problem
    #expect(
      words == "too many sets without names, and maps of verdicts, to compare what is in them: inet crowd has 12000")
  }

  @Test(arguments: [
    (["*"], Backend.nft, false), (["*"], .legacy, false), ([], .nft, true), ([], .legacy, true),
  ]) func `an other backend that nobody can read is drift where it is judged`(
    allowed: [String], backend: Backend, isDrift: Bool
  ) throws {
    host.firewall.backend = backend
    let bundle = Result {
      try SignedBundles.bundle(
        serial: 2, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, foreignAllowed: allowed)
    }
    try host.apply(agent, bundle)
    _ = try agent.look(for: [])
    let words = "read the other backend's"
    host.firewall.otherBackendProblem = FirewallProblem(.timedOut, program: "save", family: .ipv4, words: "killed")
    // Where it is judged nobody saw that all is as it was.
    #expect(((try? agent.look(for: [])) == nil) == isDrift)
    host.boot.time = host.boot.time + .seconds(61)
    #expect(try agent.isIntact() != isDrift)
    #expect(try agent.report(.random(), managementSource: "").others?.problem?.hasPrefix(words) == true)
    host.firewall.otherBackendProblem = nil
    #expect(try agent.isIntact())
    // nf_tables holds our own rules, but for legacy programs.
    host.firewall.nftablesProblem = FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")
    host.boot.time = host.boot.time + .seconds(1)
    _ = try agent.isIntact()
    host.boot.time = host.boot.time + .seconds(61)
    #expect(try agent.isIntact() == (!isDrift && backend == .legacy))
  }

  @Test func `a look has the other backend's programs print once`() throws {
    try host.apply(agent, Modes.owned2)
    var asked = 0
    host.firewall.otherBackend.ipv4 = []
    host.firewall.otherBackendIsAsked = { asked += 1 }
    #expect(try agent.look(for: []))
    #expect(asked == Family.allCases.count)
    // Tables without rules too: what comes into them is announced by nobody.
    host.firewall.otherBackend.ipv4 = Array("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n".utf8)
    #expect(try !agent.look(for: []))
  }

  @Test func `rules of the other backend are drift but for those of known software`() throws {
    func filter(_ rules: String...) -> [UInt8] {
      Array("*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n\(rules.map { $0 + "\n" }.joined())COMMIT\n".utf8)
    }
    host.firewall.otherBackend.ipv4 = filter("-A INPUT -s 192.0.2.1/32 -j DROP")
    try host.apply(agent, Modes.owned2)
    #expect(try agent.isIntact())
    host.firewall.otherBackend.ipv4 = filter(
      "-A INPUT -s 192.0.2.1/32 -j DROP", "-A INPUT -p tcp -j f2b-sshd", "-A f2b-sshd -s 192.0.2.2/32 -j DROP")
    #expect(try agent.isIntact())
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.otherBackendRules == 3 && report.others?.otherBackend.ipv4 != nil)
    host.firewall.otherBackend.ipv4 = filter("-A INPUT -j DROP")
    #expect(try differences().map { $0.prefix(31) } == ["-A other-backend/others sha256:"])
  }

  @Test func `counters, bans and whoever else goes about his work make no drift`() throws {
    try Modes.settle(Modes.docker, on: host)
    try host.apply(agent, Modes.owned2)
    let before = try agent.report(.random(), managementSource: "")
    host.firewall.append("-A f2b-sshd -s 203.0.113.77/32 -j DROP", to: "filter", .ipv4)
    host.firewall.append("-A DOCKER-USER -s 203.0.113.78/32 -j DROP", to: "filter", .ipv4)
    let after = try agent.report(.random(), managementSource: "")
    #expect(try agent.isIntact())
    func part(_ report: Report, _ owner: ForeignOwner?) -> OthersReport.Chains? {
      report.others?.chains.first { $0.family == .ipv4 && $0.ownerWord == owner?.rawValue }
    }
    // Whose they are is told all the same.
    #expect(part(before, .fail2ban)?.digest != part(after, .fail2ban)?.digest)
    #expect(part(before, .docker)?.digest != part(after, .docker)?.digest)
    #expect(part(before, nil) == part(after, nil))
  }

  @Test func `a host that gave our rules up begins anew`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [Self.table("guard")]
    try host.apply(agent, Modes.withdrawn3)
    #expect(try agent.isIntact())
    try host.apply(agent, Modes.bundle(4, .owned))
    #expect(try agent.isIntact())
    host.firewall.otherTables = []
    #expect(try differences() == ["-A inet/guard # it is gone, or no packet passes through it"])
    host.firewall.otherTables = [Self.table("guard", "y")]
    #expect(try !agent.isIntact())
  }

  private func accepting(_ serial: UInt64) -> Modes.Bundle { Modes.bundle(serial, .owned, [.acceptOthers]) }

  private func others(of agent: HostAgent) throws -> [String] {
    try agent.differences(in: "others", .ipv4).map { String($0.prefix { $0 != ":" }) }
  }

  @Test(arguments: [nil, "", "format 1\n", "what is this\n"])
  func `who edits or removes the baseline hides nothing, until a release accepts what is there`(text: String?) throws {
    host.firewall.otherTables = [Self.table("guard")]
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables.append(Self.table("evil"))
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
    host.firewall.otherTables[1] = Self.table("evil", "y")
    #expect(try others(of: try host.recoveredAgent()) == ["-A inet/evil sha256"])
  }

  @Test func `a release accepts what is there once, whether it changes the rules or not`() throws {
    try host.apply(agent, Modes.owned2)
    for (serial, result) in [(4, Outcome.Result.unchanged), (5, .committed)] as [(UInt64, Outcome.Result)] {
      host.firewall.otherTables = [Self.table("guard", "\(serial)")]
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
    host.firewall.otherTables = [Self.table("evil")]
    host.firewall.append("-A PCL-INPUT -p tcp -m tcp --dport 8081 -j ACCEPT", to: "filter", .ipv4)
    #expect(try host.apply(agent, accepting(3)).result == .committed)
    #expect(try others(of: agent) == ["-A inet/evil sha256"])
  }

  @Test func `what was accepted and could not be written down then is taken when it can`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [Self.table("vendor")]
    host.firewall.nftablesProblem = Self.busy
    #expect(try host.apply(agent, accepting(3)).result == .committed)
    host.firewall.nftablesProblem = nil
    _ = try agent.look(for: [])
    #expect(try agent.isIntact())
  }

  @Test func `a change that is taken back accepts nothing`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [Self.table("guard")]
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, accepting(3), transaction, from: host.connection())
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect(try others(of: agent) == ["-A inet/guard sha256"])
  }

  @Test func `a baseline that could not be taken is missed, and taken later, but not while the host starts`() throws {
    host.firewall.otherTables = [Self.table("guard")]
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
    host.firewall.otherTables = [Self.table("guard")]
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
    host.firewall.otherTables = [Self.table("guard")]
    if isAcceptance { try host.apply(agent, Modes.owned2) }
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    host.firewall.otherTables = [Self.table("guard", "half")]
    try host.apply(later, isAcceptance ? accepting(3) : Modes.owned3)
    #expect(try later.isIntact() && later.othersBaseline() == nil)
    // It is looked at again although all is announced, also for who allows everything.
    #expect(try !later.look(for: []))
    host.firewall.otherTables = [Self.table("guard", "whole")]
    #expect(try later.isIntact())
    host.pass(.seconds(295))
    #expect(try later.look(for: []))
    #expect(try later.isIntact())
    host.firewall.otherTables = [Self.table("guard", "half")]
    #expect(try others(of: later) == ["-A inet/guard sha256"])
  }

  @Test func `a container starts when it does, and not with its machine`() throws {
    host.facts.started = host.boot.now()
    host.firewall.otherTables = [Self.table("guard", "half")]
    try host.apply(agent, Modes.owned2)
    #expect(agent.othersBaseline() == nil)
    host.pass(.seconds(301))
    _ = try agent.look(for: [])
    #expect(agent.othersBaseline() != nil)
  }

  @Test func `what is set up step by step after a boot is no drift before it had its time, or was whole`() throws {
    host.firewall.otherTables = [Self.table("guard"), Self.table("gate")]
    try host.apply(agent, Modes.owned2)
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    host.firewall.otherTables = [Self.table("guard", "half"), Self.table("gate", "half")]
    #expect(try !later.look(for: []))
    #expect(try later.isIntact())
    // It is flushed before it is made anew.
    host.firewall.otherTables = []
    #expect(try later.isIntact())
    host.firewall.otherTables = [Self.table("guard"), Self.table("gate", "half")]
    #expect(try later.isIntact())
    host.firewall.otherTables = [Self.table("guard", "other"), Self.table("gate", "half"), Self.table("new")]
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
    host.firewall.otherTables = [Self.table("guard"), Self.table("gate")]
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = []
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    #expect(try !later.look(for: []))
    #expect(try later.isIntact())
    host.firewall.otherTables = [Self.table("guard")]
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

  @Test(arguments: [
    (Manifest.Mode.owned, false, "guard", true), (.owned, false, "docker-bridges", false),
    (.owned, true, "docker-bridges", true), (.exclusive, false, "guard", true), (.exclusive, false, "netavark", false),
  ]) func `a filter of others that is gone is drift, but for software that stopped`(
    mode: Manifest.Mode, denies: Bool, name: String, isDrift: Bool
  ) throws {
    host.firewall.otherTables = [Self.table(name), Self.table("unused", isHooked: false)]
    let strict = Result {
      try SignedBundles.bundle(
        serial: 2, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, deniesForeign: true)
    }
    try host.apply(agent, denies ? strict : Modes.bundle(2, mode))
    #expect(try agent.isIntact())
    host.firewall.otherTables[0].isDormant = true
    #expect(try agent.isIntact() != isDrift)
    host.firewall.otherTables = []
    #expect(try agent.isIntact() != isDrift)
    // Who cannot look does not miss it.
    host.firewall.nftablesProblem = FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")
    #expect(try host.recoveredAgent().differences(in: "others", .ipv4).isEmpty)
  }

  @Test func `tables that no program prints are drift unless they were there at first`() throws {
    host.firewall.unprinted = ["filter"]
    try host.apply(agent, Modes.owned2)
    #expect(try agent.isIntact())
    let words = "no program on this host prints the other backend's tables: ipv4 filter"
    #expect(try agent.report(.random(), managementSource: "").others?.problem == words)
    host.firewall.unprinted = ["filter", "nat"]
    #expect(try differences().map { $0.prefix(26) } == ["-A other-backend/unprinted"])
  }

  @Test func `rules of the other backend that cannot be read are not taken for none`() throws {
    host.firewall.otherBackend.ipv4 = Array("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n".utf8)
    try host.apply(agent, Modes.owned2)
    host.firewall.otherBackend.ipv4 = Array("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j LOG\nCOMMIT\n".utf8)
    let before = try differences()
    #expect(before.count == 1)
    host.firewall.otherBackendProblem = FirewallProblem(.timedOut, program: "save", family: .ipv4, words: "killed")
    #expect(try differences() == before)
    host.boot.time = host.boot.time + .seconds(61)
    #expect(try differences().isEmpty)
    let words = "-A unreadable # read the other backend's ipv4 rules: "
    #expect(try agent.differences(in: "kernel", .ipv4).contains { $0.hasPrefix(words) })
  }

  @Test func `a chain that hides in a table of iptables' own is shown`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.distort = { table in
      guard table.family == .ipv4 else { return }
      table.chains.append(
        NftablesChain(
          name: "early", hook: .init(number: 1, priority: -5, dropsByDefault: true, type: "filter"), rules: 0,
          drops: true,
          digest: Digest(of: [1])))
    }
    #expect(try differences().map { $0.prefix(24) } == ["-A ip/filter/early sha25"])
    let table = try agent.report(.random(), managementSource: "").others?.tables.first
    #expect(table?.name == "filter/early" && table?.drops == true)
  }
}
