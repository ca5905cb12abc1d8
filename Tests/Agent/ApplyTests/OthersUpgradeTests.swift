import AgentTestSupport
import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Apply

/// What else filters packets on a host, in memory, whose iptables or whose agent is upgraded.
@Suite struct OthersUpgradeTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  private static let strict = Result {
    try SignedBundles.bundle(serial: 2, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned, deniesForeign: true)
  }
  private static let keepalived = "-A OUTPUT -p vrrp -j ACCEPT"
  private static let foreign =
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\(keepalived)\nCOMMIT\n"

  private func others(of agent: HostAgent? = nil) throws -> [String] {
    let agent = agent ?? self.agent
    _ = try agent.report(.random(), managementSource: "")
    return try agent.differences(in: "others", .ipv4).map { String($0.prefix { $0 != ":" }) }
  }

  enum Words: CaseIterable {
    case asBefore
    /// As Debian 13 has it.
    case byNumber
    /// As no program has it yet.
    case unheardOf

    func print(_ rule: String) -> String {
      switch self {
      case .asBefore: rule
      case .byNumber: rule.replacing("-p vrrp", with: "-p 112")
      case .unheardOf: rule.replacing("-p vrrp", with: "-p virtual-router")
      }
    }
  }

  private func upgrade(to words: Words) {
    host.firewall.version += ".1"
    host.firewall.wording = words.print
  }

  private func file() throws -> [UInt8] { try #require(try host.disk.read(NotedFile.others.name, atMost: 1 << 20)) }

  // MARK: - Of iptables

  @Test(arguments: Words.allCases)
  func `programs that word the rules of others otherwise make no alarm, and hide none that was changed`(
    words: Words
  ) throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    #expect(try agent.isIntact())
    upgrade(to: words)
    #expect(try agent.isIntact())
    #expect(try host.recoveredAgent().isIntact())
    host.firewall.append("-A OUTPUT -s 192.0.2.1/32 -j DROP", to: "filter", .ipv4)
    #expect(try others() == ["-A rules/others sha256"])
  }

  @Test(arguments: Words.allCases)
  func `what others had changed before an upgrade is drift after it`(
    words: Words
  ) throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    host.firewall.append("-A OUTPUT -p vrrp -j DROP", to: "filter", .ipv4)
    #expect(try others() == ["-A rules/others sha256"])
    upgrade(to: words)
    #expect(try others() == ["-A rules/others sha256"])
    try Modes.settle(
      String(decoding: host.firewall.save(.ipv4), as: UTF8.self).replacing(
        words.print("-A OUTPUT -p vrrp -j DROP") + "\n", with: ""),
      on: host)
    #expect(try agent.isIntact())
  }

  @Test func `rules of others that other programs do not load, or load half of, are shown`() throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    upgrade(to: .unheardOf)
    let before = try file()
    host.firewall.withoutLive = "ipv4: no such match"
    #expect(try others() == ["-A rules/others sha256"])
    // A daemon that starts tries again.
    host.firewall.withoutLive = nil
    host.firewall.corruptRehearsal = { kernel in
      var kernel = kernel
      kernel.ipv4["filter"]?.chains.indices.forEach { kernel.ipv4["filter"]?.chains[$0].rules = [] }
      return kernel
    }
    #expect(try others(of: host.recoveredAgent()) == ["-A rules/others sha256"])
    #expect(try file() == before)
    host.firewall.corruptRehearsal = nil
    let last = try host.recoveredAgent()
    #expect(try last.isIntact())
    let rehearsals = host.firewall.rehearsals.count
    #expect(try last.isIntact() && host.firewall.rehearsals.count == rehearsals)
  }

  @Test func `rules of the other backend are the same in the words of its other programs`() throws {
    func filter(_ rules: String...) -> [UInt8] {
      Array("*filter\n:INPUT ACCEPT [0:0]\n\(rules.map { $0 + "\n" }.joined())COMMIT\n".utf8)
    }
    host.firewall.otherBackend.ipv4 = filter(#"-A INPUT -p vrrp -m string --string "a" --algo bm --to 65535 -j DROP"#)
    try host.apply(agent, Modes.owned2)
    host.firewall.otherBackend.ipv4 = filter(#"-A INPUT -p 112 -m string --string "a" --algo bm -j DROP"#)
    #expect(try agent.isIntact())
    host.firewall.otherBackend.ipv4 = filter(#"-A INPUT -p 112 -m string --string "b" --algo bm -j DROP"#)
    #expect(try others() == ["-A other-backend/others sha256"])
  }

  @Test(arguments: 1...14) func `an agent that dies while it renews what was taken down loses none of it`(call: Int)
    throws
  {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    host.firewall.append("-A OUTPUT -s 192.0.2.1/32 -j DROP", to: "filter", .ipv4)
    upgrade(to: .unheardOf)
    _ = try agent.report(.random(), managementSource: "")
    let renewed = try file()
    let fresh = try OthersUpgradeTests()
    try Modes.settle(Self.foreign, on: fresh.host)
    try fresh.host.apply(fresh.agent, Self.strict)
    fresh.host.firewall.append("-A OUTPUT -s 192.0.2.1/32 -j DROP", to: "filter", .ipv4)
    fresh.upgrade(to: .unheardOf)
    let baseline = try #require(fresh.agent.othersBaseline())
    let programs = try fresh.host.firewall.programs()
    fresh.host.faults.arm(.die(call))
    _ = fresh.agent.renewOthers(programs)
    fresh.host.faults.restart()
    let later = try fresh.host.recoveredAgent()
    let found = try #require(later.othersBaseline())
    #expect(found == baseline || found.encode() == renewed)
    #expect(try later.differences(in: "disk", .ipv4).isEmpty)
    #expect(try others(of: later) == ["-A rules/others sha256"])
    #expect(try fresh.file() == renewed)
  }

  @Test func `a file that somebody edited is not written anew by an upgrade`() throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    let edited = try file() + Array("*nat\n:POSTROUTING ACCEPT\nCOMMIT\n".utf8)
    host.disk.tamper(NotedFile.others.name, edited)
    upgrade(to: .byNumber)
    let later = try host.recoveredAgent()
    #expect(try others(of: later) == ["-A rules/others sha256"])
    #expect(try file() == edited)
  }

  @Test func `what is written is read back, and what is not is nothing`() throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    let text = try file()
    let baseline = try #require(OthersBaseline(parsing: text))
    #expect(baseline.encode() == text && baseline.rules?.programs == "1.8.9 nft")
    #expect(baseline.rules?.rulesets()?.ipv4.ruleCount == 1 && baseline.rules?.rulesets()?.ipv6.ruleCount == 0)
    #expect(!String(decoding: text, as: UTF8.self).contains("PCL"))
    for cut in 0..<text.count { _ = OthersBaseline(parsing: Array(text[..<cut])) }
  }

  // MARK: - Of the agent

  /// As the agent before this one wrote it: by digests of the printed words, and of nothing else.
  private func downgrade() throws {
    let saved = try Ruleset.parse(save: host.firewall.save(.ipv4), file: "save")
    let part = try #require(saved.foreignParts(besidePolicies: ["filter": ["INPUT", "FORWARD"]]).first)
    try note(Array("format 1\nipv4/rules/others \(part.asPrinted)\n".utf8))
  }

  private func note(_ text: [UInt8]) throws {
    host.disk.tamper(NotedFile.others.name, text)
    let agent = try host.recoveredAgent()
    try agent.append(.noted(.others, NotedState(digest: Digest(of: text), at: host.clock.now(), isLate: false)))
  }

  @Test(arguments: [false, true])
  func `what the agent before took down is kept, and outlives an upgrade of iptables`(hadDrifted: Bool) throws {
    try Modes.settle(Self.foreign, on: host)
    try host.apply(agent, Self.strict)
    try downgrade()
    if hadDrifted { host.firewall.append("-A OUTPUT -p vrrp -j DROP", to: "filter", .ipv4) }
    let shown = hadDrifted ? ["-A rules/others sha256"] : []
    for words in [Words.asBefore, .byNumber] {
      upgrade(to: words)
      let later = try host.recoveredAgent()
      #expect(try others(of: later) == shown)
      #expect(try later.report(.random(), managementSource: "").others?.problem == nil)
    }
    guard !hadDrifted else { return }
    // Settled, it has the words too.
    upgrade(to: .unheardOf)
    #expect(try others(of: host.recoveredAgent()) == [])
  }

  @Test(arguments: [true, false])
  func `a baseline without a format is taken anew, which is said, and without what it did not have`(
    isNoted: Bool
  ) throws {
    host.firewall.otherTables = [OthersTests.table("guard"), OthersTests.table("idle", isHooked: false)]
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables.append(OthersTests.table("evil"))
    let old = Array(["guard", "gone", "idle"].map { "ipv4/inet/\($0) \(Digest(of: "x".utf8))\n" }.joined().utf8)
    if isNoted {
      try note(old)
    } else {
      var earlier = try Journal.read(from: host.disk)
      earlier.noted = [:]
      host.disk.tamper(Journal.fileName, Journal.frame(.snapshot(earlier)))
      host.disk.tamper(NotedFile.others.name, old)
    }
    let later = try host.recoveredAgent()
    #expect(try !later.isIntact())
    #expect(
      try later.differences(in: "others", .ipv4).map { $0.prefix(16) } == ["-A inet/evil sha", "-A inet/gone # i"])
    let words = try #require(try later.report(.random(), managementSource: "").others?.problem)
    #expect(words.hasPrefix("others-found was not written until "))
    // A release may accept it.
    try host.apply(later, Modes.bundle(5, .owned, [.acceptOthers]))
    #expect(try later.isIntact())
  }

  @Test func `what was accepted once is not measured by what an earlier agent took down`() throws {
    host.firewall.otherTables = [OthersTests.table("vendor")]
    try host.apply(agent, Modes.owned2)
    var earlier = try Journal.read(from: host.disk)
    earlier.noted = [:]
    host.disk.tamper(Journal.fileName, Journal.frame(.snapshot(earlier)))
    host.disk.tamper(NotedFile.others.name, Array("ipv4/inet/guard \(Digest(of: "x".utf8))\n".utf8))
    let later = try host.recoveredAgent()
    host.firewall.nftablesProblem = FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")
    #expect(try host.apply(later, Modes.bundle(3, .owned, [.acceptOthers])).result == .committed)
    host.firewall.nftablesProblem = nil
    #expect(try later.isIntact())
  }

  @Test func `what an agent wrote that noted nothing, and no file, is taken`() throws {
    try host.apply(agent, Modes.owned2)
    var earlier = try Journal.read(from: host.disk)
    earlier.noted = [:]
    host.disk.tamper(Journal.fileName, Journal.frame(.snapshot(earlier)))
    try host.disk.remove(NotedFile.others.name)
    #expect(try host.recoveredAgent().isIntact())
    #expect(Set(try host.ledger().noted.keys) == Set(NotedFile.allCases))
  }
}
