import Core
import Release
import TestSupport
import Testing
import Wire

@testable import Apply

@Suite struct WatchTests {
  static let writer = HostChange.Actor(name: "iptables", process: 812)
  static let backdoor = "-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT"

  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  /// What the next look finds.
  func news(of agent: HostAgent, _ actors: HostChange.Actor...) throws -> [HostChange] {
    let known = agent.changes.last
    _ = try agent.look(for: actors)
    return agent.changes.changes(after: known)?.entries ?? []
  }

  func tamper(_ family: Family = .ipv4) { host.firewall.append(Self.backdoor, to: "filter", family) }

  @Test func `before the first commit there is nothing to differ from`() throws {
    #expect(try news(of: agent).isEmpty)
    host.firewall.kernel.ipv4 = [:]
    #expect(try news(of: agent, Self.writer).isEmpty)
  }

  @Test func `a change of somebody else's is told with its chains, its time and its maker`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    #expect(try news(of: agent).isEmpty)
    tamper()
    let news = try news(of: agent, Self.writer)
    let change = try #require(news.first)
    #expect(news.count == 1 && change.cause == .others && change.actors == [Self.writer])
    #expect(change.chains == [.init(family: .ipv4, table: "filter", chain: "INPUT", change: .changed)])
    #expect(change.families.ipv4.differs && !change.families.ipv6.differs)
    #expect(change.time == host.clock.time && change.bootID == host.facts.bootID)
    let report = try agent.report(.random(), managementSource: "")
    #expect(change.families.map { _, side in side.observed } == report.families.map { _, facts in facts.observed })
    // It is the same still.
    #expect(try self.news(of: agent, Self.writer).isEmpty)
  }

  @Test func `who changes rules right after the first commit of a host is named`() throws {
    _ = try agent.look(for: [])
    try host.apply(agent, Samples.old)
    tamper()
    let news = try news(of: agent, Self.writer)
    #expect(news.last?.cause == .others && news.last?.actors == [Self.writer], "\(news)")
  }

  @Test func `what the agent does itself is ours, with the release`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    try host.apply(agent, Samples.new)
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.cause) == [.ours(Serial(8))])
    #expect(news.first?.actors == [] && news.first?.families.ipv4.differs == false)
    #expect(news.first?.chains.contains { $0.table == "nat" && $0.change == .added } == true)
  }

  @Test func `what came right after an apply is not taken for ours`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    try host.apply(agent, Samples.new)
    tamper()
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.cause) == [.ours(Serial(8)), .others])
    #expect(news.map(\.families.ipv4.differs) == [false, true])
    #expect(news.last?.actors == [Self.writer])
  }

  private func edit(_ words: String) {
    host.facts.files[Self.trusted] = Array(words.utf8)
  }

  private static let trusted = "etc/portcullis/allowed_signers"

  private func enroll() throws {
    edit("a\n")
    let enrolled = EnrolledFiles([(Self.trusted, Array("a\n".utf8))])
    try host.disk.replace(EnrolledFiles.fileName, in: ".", with: enrolled.encode())
  }

  @Test func `an apply that leaves what differed as it was makes nobody else a culprit`() throws {
    try enroll()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    edit("b\n")
    #expect(try news(of: agent).map(\.cause) == [.others])
    try host.apply(agent, Samples.new)
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.cause) == [.oursBesides(Serial(8))] && news.first?.actors == [])
    #expect(news.first?.families.ipv4.differs == true)
    let report = try agent.report(.random(), managementSource: "")
    #expect(news.first?.families.ipv4.observed == report.families.ipv4.observed)
  }

  @Test func `what comes on top of a standing difference after an apply is somebody's`() throws {
    try enroll()
    try host.apply(agent, Samples.old)
    edit("b\n")
    _ = try agent.look(for: [])
    try host.apply(agent, Samples.new)
    tamper()
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.cause) == [.ours(Serial(8)), .others] && news.last?.actors == [Self.writer])
    #expect(news.last?.chains == [.init(family: .ipv4, table: "filter", chain: "INPUT", change: .changed)])
  }

  /// As `enroll` does: the daemon starts again, which it need not have done before it looks.
  private func enrollAnew() throws {
    try host.disk.replace(EnrolledFiles.unseenFileName, in: ".", with: [])
    try enroll()
  }

  @Test(arguments: [false, true]) func `what an enrolment puts back is nobody else's doing`(isStarted: Bool) throws {
    try enroll()
    let agent = try host.recoveredAgent()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    edit("b\n")
    #expect(try news(of: agent).map(\.cause) == [.others])
    try enrollAnew()
    let later = isStarted ? try restarted(agent) : agent
    let news = try news(of: later)
    #expect(news.map(\.cause) == [.ours(Serial(7))])
    #expect(news.first?.families.ipv4.differs == false)
    // Once.
    edit("b\n")
    edit("a\n")
    #expect(try self.news(of: later).isEmpty)
    edit("b\n")
    #expect(try self.news(of: later).map(\.cause) == [.others])
    edit("a\n")
    #expect(try self.news(of: later).map(\.cause) == [.others])
  }

  @Test(arguments: [false, true]) func `an enrolment answers for its files alone`(isStarted: Bool) throws {
    try enroll()
    let agent = try host.recoveredAgent()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    edit("b\n")
    tamper()
    _ = try agent.look(for: [])
    try enrollAnew()
    // What stays is not undone.
    let later = isStarted ? try restarted(agent) : agent
    #expect(try news(of: later).map(\.cause) == [.oursBesides(Serial(7))])
    try enrollAnew()
    tamper(.ipv6)
    let news = try news(of: later, Self.writer)
    #expect(news.map(\.cause) == [.others] && news.first?.actors == [Self.writer])
  }

  @Test(arguments: [false, true]) func `what came while a host was enrolled is somebody's`(isStarted: Bool) throws {
    try enroll()
    let agent = try host.recoveredAgent()
    try host.apply(agent, Samples.old)
    let intact = host.firewall.kernel
    tamper()
    _ = try agent.look(for: [])
    host.firewall.kernel = intact
    _ = try agent.look(for: [])
    try enrollAnew()
    tamper()
    let news = try news(of: isStarted ? try restarted(agent) : agent)
    #expect(news.map(\.cause) == [.others])
  }

  @Test func `what nobody announces has no maker, and came at some time since the last look`() throws {
    try enroll()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    let looked = host.clock.time
    host.clock.time = UTCTime(secondsSinceEpoch: looked.secondsSinceEpoch + 40)
    edit("b\n")
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.cause) == [.others] && news.first?.actors == [])
    #expect(news.first?.since == looked && news.first?.time == host.clock.time)
    #expect(news.first?.chains.map(\.table) == ["disk"])
  }

  @Test func `who changed a rule is not named for what else changed meanwhile`() throws {
    try enroll()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    edit("b\n")
    tamper()
    let news = try news(of: agent, Self.writer)
    #expect(news.map { $0.chains.map(\.table) } == [["disk"], ["filter"]])
    #expect(news.map(\.actors) == [[], [Self.writer]] && news.map { $0.since == nil } == [false, true])
  }

  @Test func `rules of the other backend are announced where it is nft`() throws {
    for backend in Backend.allCases {
      let host = try FakeHost()
      host.firewall.backend = backend
      let agent = try host.recoveredAgent()
      try host.apply(agent, Samples.old)
      _ = try agent.look(for: [])
      host.firewall.otherBackend.ipv4 = Array("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n".utf8)
      let news = try news(of: agent, Self.writer)
      #expect(news.map(\.actors) == [backend == .nft ? [] : [Self.writer]])
    }
  }

  @Test func `a report that sees what no look saw asks for one`() throws {
    try enroll()
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    _ = try agent.report(.random(), managementSource: "")
    #expect(!agent.isBehind)
    edit("b\n")
    _ = try agent.report(.random(), managementSource: "")
    #expect(agent.isBehind)
    _ = try agent.look(for: [])
    #expect(!agent.isBehind)
  }

  @Test func `an apply that repairs is ours, and so is the safe policy`() throws {
    try host.apply(agent, Samples.old)
    tamper()
    _ = try agent.look(for: [])
    try host.apply(agent, Samples.old)
    let repaired = try news(of: agent)
    #expect(repaired.map(\.cause) == [.ours(Serial(7))] && repaired.first?.families.ipv4.differs == false)
    _ = try agent.obey(LocalOrder(deed: .safe, reason: "test"))
    let safe = try news(of: agent)
    #expect(safe.map(\.cause) == [.ours(Serial(7))] && safe.first?.families.ipv4.differs == true)
  }

  @Test func `the words of other programs are no change, and a change is one in any words`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    host.firewall.version = "1.8.11"
    host.firewall.wording = { $0.replacing("-p tcp -m tcp", with: "-p tcp") }
    #expect(try news(of: agent).isEmpty)
    host.firewall.version = "1.8.12"
    host.firewall.wording = { $0 }
    tamper()
    #expect(try news(of: agent).map(\.cause) == [.others])
  }

  @Test func `a change while no agent ran is found by the next one, and is told once`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    tamper()
    _ = try agent.look(for: [])
    try agent.keepChanges()
    tamper(.ipv6)
    let later = try host.recoveredAgent()
    #expect(later.changes.last == agent.changes.last)
    let news = try news(of: later)
    #expect(news.map(\.cause) == [.others] && news.first?.families.ipv6.differs == true)
    #expect(try self.news(of: try restarted(later)).isEmpty)
  }

  @Test func `the first look of all tells what differs from the commit, however late it comes`() throws {
    try host.apply(agent, Samples.old)
    let untouched = try host.recoveredAgent()
    #expect(try news(of: untouched).isEmpty)
    tamper()
    let news = try news(of: try host.recoveredAgent())
    #expect(news.map(\.cause) == [.others] && news.first?.families.ipv4.differs == true)
  }

  private func tamperWithOurs() { host.firewall.append("-A PCL:web -s 192.0.2.9/32 -j ACCEPT", to: "filter", .ipv4) }

  private static let ours = HostChange.Chain(family: .ipv4, table: "filter", chain: "PCL:web", change: .changed)

  @Test func `what the agent has not written down is nobody's doing, whether that comes or goes`() throws {
    host.firewall.unreadableScope = .ofAll
    try host.apply(agent, Modes.owned3)
    #expect(try news(of: agent, Self.writer).isEmpty && !agent.isIntact())
    try host.apply(agent, Modes.bundle(4, .owned))
    #expect(try news(of: agent, Self.writer).map(\.cause) == [.oursBesides(Serial(4))])
    tamperWithOurs()
    let news = try news(of: agent, Self.writer)
    #expect(news.map(\.chains) == [[Self.ours]] && news.map(\.actors) == [[Self.writer]])
    let later = try restarted(agent)
    #expect(try self.news(of: later, Self.writer).isEmpty)
    host.firewall.unreadableScope = nil
    #expect(try self.news(of: later, Self.writer).isEmpty)
    #expect(try later.differences(in: "others", .ipv4).isEmpty)
  }

  @Test func `what an agent began to miss after its last look is nobody's doing for the next one`() throws {
    try host.apply(agent, Modes.owned2)
    _ = try agent.look(for: [])
    tamperWithOurs()
    #expect(try news(of: agent, Self.writer).map(\.chains) == [[Self.ours]])
    let later = try restarted(agent)
    host.firewall.unreadableScope = .ofAll
    later.forgetNoted(.others)
    #expect(try news(of: later, Self.writer).isEmpty)
    #expect(try !later.differences(in: "others", .ipv4).isEmpty)
    let report = try later.report(.random(), managementSource: "")
    #expect(report.families.ipv4.chains.contains { $0.chain == "no-baseline" } && !later.isBehind)
  }

  @Test func `after a boot the rules are ours again`() throws {
    try host.apply(agent, Samples.old)
    tamper()
    _ = try agent.look(for: [])
    tamper()
    _ = try agent.look(for: [])
    try agent.keepChanges()
    host.cutPower()
    _ = try host.agent().restore()
    let later = try host.recoveredAgent()
    let news = try news(of: later)
    #expect(news.map(\.cause) == [.ours(Serial(7))] && news.first?.families.ipv4.differs == false)
    #expect(try self.news(of: try restarted(later)).isEmpty)
  }

  @Test func `nobody is named for what the first look after a start or a boot finds, since it may have come before`()
    throws
  {
    for isBoot in [false, true] {
      let host = try FakeHost()
      let agent = try host.recoveredAgent()
      try host.apply(agent, Modes.owned2)
      _ = try ConfirmTests.begin(agent, Modes.owned3, .random(), from: host.connection())
      if isBoot {
        host.cutPower()
        _ = try host.agent().restore()
      }
      // It takes back what nobody confirmed.
      let later = try host.recoveredAgent()
      host.firewall.append("-A PCL:web -s 192.0.2.9/32 -j ACCEPT", to: "filter", .ipv4)
      let news = try news(of: later, Self.writer)
      #expect(news.last?.cause == .others && news.allSatisfy(\.actors.isEmpty))
      #expect(news.last?.families.ipv4.differs == true)
    }
  }

  private func restarted(_ agent: HostAgent) throws -> HostAgent {
    try agent.keepChanges()
    return try host.recoveredAgent()
  }

  @Test func `a log that is damaged is begun anew`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    tamper()
    _ = try agent.look(for: [])
    try agent.keepChanges()
    #expect(try host.recoveredAgent().changes.entries == agent.changes.entries)
    host.disk.tamper("changes", [1, 2, 3])
    let later = try host.recoveredAgent()
    #expect(later.changes.last == 0)
    #expect(try news(of: later).map(\.cause) == [.others])
  }

  @Test func `rules that cannot be read are an error, and nothing is forgotten over it`() throws {
    try host.apply(agent, Samples.old)
    _ = try agent.look(for: [])
    tamper()
    host.faults.breaks = "save \(Family.ipv6)"
    #expect(throws: Refusal.self) { try agent.look(for: [Self.writer]) }
    host.faults.breaks = nil
    #expect(try news(of: agent).count == 1)
  }
}

@Suite struct ChangeLogTests {
  private func change(_ chains: Int = 1) -> HostChange {
    let side = HostChange.Side(observed: Digest(of: []), differs: true)
    return HostChange(
      sequence: 0, time: UTCTime(secondsSinceEpoch: 1), bootID: "b", cause: .others,
      families: PerFamily(ipv4: side, ipv6: side),
      chains: (0..<chains).map { number in
        HostChange.Chain(
          family: .ipv4, table: "filter", chain: "\(number)" + String(repeating: "c", count: 250), change: .added)
      })
  }

  @Test func `it forgets the oldest, and says how many those were`() throws {
    var log = ChangeLog()
    #expect(log.changes(after: 0) == nil)
    for _ in 0..<600 { log.append(change()) }
    #expect(log.entries.count == ChangeLog.capacity && log.last == 600)
    let first = try #require(log.changes(after: 10))
    #expect(first.omitted == 78 && first.entries.first?.sequence == 89)
    #expect(first.entries.count == WireLimit.changes && first.last == 152)
    let next = try #require(log.changes(after: first.last))
    #expect(next.omitted == 0 && next.entries.first?.sequence == 153)
    #expect(log.changes(after: 599)?.entries.count == 1 && log.changes(after: 600) == nil)
    #expect(log.changes(after: .max) == nil)
  }

  @Test func `long names cost older changes, not memory`() throws {
    var log = ChangeLog()
    for _ in 0..<600 { log.append(change(32)) }
    #expect(log.entries.count < 100 && log.entries.last?.sequence == 600)
    let answer = AgentMessage.changes(try #require(log.changes(after: 0)))
    #expect(answer.encode().count <= WireLimit.frame)
  }
}
