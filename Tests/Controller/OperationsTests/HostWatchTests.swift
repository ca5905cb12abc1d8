import Audit
import Core
import Store
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

struct HostWatchTests {
  private static let host = HostID("h001")!
  private static let committed = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
  private static let changed = committed.replacing("COMMIT", with: "-A INPUT -j ACCEPT\nCOMMIT")

  private static func change(_ sequence: UInt64, differs: Bool) -> HostChange {
    HostChange(
      sequence: sequence, time: UTCTime(secondsSinceEpoch: 1), bootID: "b", cause: .others,
      families: PerFamily(
        ipv4: HostChange.Side(observed: Digest(of: []), differs: differs),
        ipv6: HostChange.Side(observed: Digest(of: []), differs: false)))
  }

  private static func report(_ nonce: Nonce, differs: Bool) -> Report {
    let digests = [Digest(of: [1]), Digest(of: [2])]
    return Report(
      nonce: nonce, host: host, fleet: FleetID("lab")!, time: UTCTime(secondsSinceEpoch: 0), bootID: "b",
      agentVersion: "t", architecture: "a", kernel: "k", backend: .nft, iptablesVersion: "1", committed: nil,
      lastFailure: nil,
      families: PerFamily { family in
        FamilyReport(
          expected: digests[0], observed: digests[differs && family == .ipv4 ? 1 : 0], save: digests[0], chains: [])
      }, otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "")
  }

  private static func waiting(_ nonce: Nonce, millisecondsLeft: UInt32) -> Report {
    var report = report(nonce, differs: true)
    report.pending = PendingChange(
      transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
      serial: Serial(13), millisecondsLeft: millisecondsLeft, isManual: true)
    return report
  }

  private static func hello(_ host: HostID = host) -> AgentMessage {
    .hello(
      AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: host, fleet: FleetID("lab")!))
  }

  /// What is told until there is enough of it.
  private static func watch(
    _ agents: FakeAgents, until count: Int, isHeard: Bool = false, clock: any WallClock = SystemClock()
  ) async -> [WatchedChange] {
    let (told, sink) = AsyncStream.makeStream(of: WatchedChange.self)
    let watch = HostWatch(
      host: host, fleet: FleetID("lab")!, endpoint: HostEndpoint(name: "h001", addresses: [], user: "portcullis"),
      sweep: Sweep(connector: agents, limits: ContactLimits(parallel: 1, timeout: patience)), gate: Gate(1),
      clock: clock
    ) { sink.yield($0) }
    let task = Task {
      await watch.run()
      sink.finish()
    }
    var all: [WatchedChange] = []
    for await change in told {
      if case .heard = change.event, !isHeard { continue }
      all.append(change)
      if all.count == count { break }
    }
    task.cancel()
    return all
  }

  @Test func `what differs already, what changes, and what changed while nobody watched, each once`() async {
    let asked = Mutex<[UInt64]>([])
    let agents = FakeAgents { connection, message in
      switch message {
      case .hello: return Self.hello()
      case .report(let nonce): return .report(Self.report(nonce, differs: connection == 1))
      case .text(let request):
        return .text(
          request, piece: Array((request.side == .expected ? Self.committed : Self.changed).utf8), last: true)
      case .watch(let after, let seconds):
        asked.withLock { $0.append(after) }
        switch (connection, after, seconds) {
        case (_, .max, 0): return .changes(Changes(last: 5))
        case (1, 5, _): return .changes(Changes(entries: [Self.change(6, differs: false)], last: 6))
        case (2, 6, 0):
          return .changes(
            Changes(entries: [Self.change(9, differs: false), Self.change(10, differs: true)], omitted: 2, last: 10))
        // The connection ends.
        default: return nil
        }
      default: return nil
      }
    }
    let told = await Self.watch(agents, until: 7)
    let lines = told.map { $0.moves.map(\.text) }
    #expect(told.map(\.event).first == .differs && lines.first == ["+-A INPUT -j ACCEPT"])
    #expect(lines.dropFirst().first == ["--A INPUT -j ACCEPT"])
    guard told.count == 7, case .lost = told[2].event else {
      Issue.record("\(told)")
      return
    }
    #expect(told[3].event == .watchedAgain && told[4].event == .forgotten(2))
    // The lines stand with the last of several changes.
    #expect(lines[5].isEmpty && lines[6] == ["+-A INPUT -j ACCEPT"])
    #expect(asked.withLock { $0.prefix(4) } == [.max, 5, 6, 6])
  }

  /// The first connection ends at once; over the second the host says how it stands now.
  private static func rebooted(before: Bool, after: Bool) -> FakeAgents {
    FakeAgents { connection, message in
      switch message {
      case .hello: return hello()
      case .report(let nonce): return .report(report(nonce, differs: connection == 1 ? before : after))
      case .text(let request):
        return .text(request, piece: Array((request.side == .expected ? committed : changed).utf8), last: true)
      // It lost its memory and counts anew.
      case .watch(_, 0): return .changes(Changes(last: connection == 1 ? 5 : 1))
      case .watch(1, 3): return .changes(Changes(last: 1))
      default: return nil
      }
    }
  }

  @Test func `what changed while nobody watched is told though the agent remembers nothing of it`() async {
    let came = await Self.watch(Self.rebooted(before: false, after: true), until: 3)
    #expect(came.count == 3 && came[1].event == .watchedAgain)
    #expect(came.last?.moves.map(\.text) == ["+-A INPUT -j ACCEPT"])
    let went = await Self.watch(Self.rebooted(before: true, after: false), until: 4)
    #expect(went.first?.event == .differs && went.last?.moves.map(\.text) == ["--A INPUT -j ACCEPT"])
    let same = await Self.watch(Self.rebooted(before: true, after: true), until: 5, isHeard: true)
    #expect(same.map(\.event).filter { $0 == .heard(differs: true) }.count == 2)
    #expect(same.filter { !$0.moves.isEmpty }.count == 1)
  }

  @Test func `what somebody waived is told as that, and anything else is not`() async throws {
    let drift = HostDrift(
      host: Self.host,
      texts: PerFamily { family in
        DriftTexts(
          expected: Array(Self.committed.utf8), observed: Array((family == .ipv4 ? Self.changed : Self.committed).utf8))
      })
    func waiver(_ difference: Digest) -> Waiver {
      Waiver(
        host: Self.host, difference: difference, words: "", ends: SystemClock().now() + 3600, reason: "r", actor: "a",
        made: UTCTime(secondsSinceEpoch: 0))
    }
    let agents = Self.rebooted(before: true, after: true)
    let told = await Self.watch(agents, until: 2, isHeard: true)
    #expect(told.map(\.event) == [.differs, .heard(differs: true)])
    func judged(_ difference: Digest) -> [Bool] {
      told.map { $0.judged(by: [Self.host: waiver(difference)], at: SystemClock().now()).isWaived }
    }
    #expect(judged(try #require(drift.exact)) == [true, true] && judged(Digest(of: [7])) == [false, false])
  }

  @Test func `a change that waits to be confirmed is told as that, and what is loaded is no drift`() async {
    let agents = FakeAgents { _, message in
      switch message {
      case .hello: return Self.hello()
      case .report(let nonce):
        return .report(Self.waiting(nonce, millisecondsLeft: 60_000))
      case .watch(.max, 0): return .changes(Changes(last: 5))
      case .watch:
        var loaded = Self.change(6, differs: false)
        loaded.cause = .ours(Serial(13))
        return .changes(Changes(entries: [loaded], last: 6))
      // Nobody has to ask for its texts.
      default: return nil
      }
    }
    let told = await Self.watch(agents, until: 3, isHeard: true)
    #expect(told.prefix(2).map(\.event) == [.waits(Serial(13)), .heard(differs: nil)])
    #expect(told.first?.until.map { $0 > SystemClock().now() } == true)
    guard case .changed(.ours(Serial(13)), _, _, _)? = told.last?.event else {
      Issue.record("\(told)")
      return
    }
  }

  /// A change waits there over its last connection, and is over the third time that the host is asked.
  private static func deciding(before: Bool?, after: Bool) -> FakeAgents {
    let reports = Mutex(0)
    return FakeAgents { connection, message in
      let isEarlier = before != nil && connection == 1
      switch message {
      case .hello: return hello()
      case .report(let nonce):
        if isEarlier { return .report(report(nonce, differs: before == true)) }
        let number = reports.withLock {
          $0 += 1
          return $0
        }
        return .report(number < 3 ? waiting(nonce, millisecondsLeft: 0) : report(nonce, differs: after))
      case .text(let request):
        return .text(request, piece: Array((request.side == .expected ? committed : changed).utf8), last: true)
      // Nothing changes by itself; whoever asks for longer than the change waits gets no answer.
      case .watch(_, let seconds): return isEarlier && seconds > 0 || seconds > 4 ? nil : .changes(Changes(last: 5))
      default: return nil
      }
    }
  }

  @Test func `once a change that waits must be over, the host is asked what became of it`() async {
    let stands = await Self.watch(Self.deciding(before: true, after: true), until: 8, isHeard: true, clock: Ticking())
    #expect(stands.prefix(2).map(\.event) == [.differs, .heard(differs: true)])
    #expect(stands.dropFirst(3).map(\.event).prefix(2) == [.watchedAgain, .waits(Serial(13))])
    #expect(
      stands.suffix(3).map(\.event) == [.heard(differs: nil), .heard(differs: nil), .heard(differs: true)])

    let gone = await Self.watch(Self.deciding(before: true, after: false), until: 9, isHeard: true, clock: Ticking())
    #expect(gone.suffix(2).first?.moves.map(\.text) == ["--A INPUT -j ACCEPT"])
    #expect(gone.last?.event == .heard(differs: false))

    let unknown = await Self.watch(Self.deciding(before: nil, after: true), until: 5, isHeard: true, clock: Ticking())
    #expect(
      unknown.map(\.event)
        == [.waits(Serial(13)), .heard(differs: nil), .heard(differs: nil), .differs, .heard(differs: true)])
    #expect(unknown.dropLast().last?.moves.map(\.text) == ["+-A INPUT -j ACCEPT"])
  }

  @Test func `what differs still does while a change waits to be confirmed`() async throws {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves)
    let (arrivals, sink) = AsyncStream.makeStream(of: DriftWatch.Arrival.self)
    for event in [WatchedChange.Event.differs, .lost("gone"), .watchedAgain, .waits(Serial(13)), .heard(differs: nil)] {
      sink.yield(.change(WatchedChange(host: Self.host, at: SystemClock().now(), event: event)))
    }
    sink.yield(.over)
    var ended = DriftWatch.Ended(lost: [], watched: [Self.host], strangers: [])
    let watch = DriftWatch(fleet.workspace, limits: ContactLimits())
    try await watch.tell(arrivals, sink, &ended, fleet.store) { _ in true }
    #expect(ended.differing == [Self.host] && ended.lost.isEmpty)
  }

  private final class Said: Sendable { let waived = Mutex<[Bool]>([]) }

  @Test func `a waiver that is made while somebody watches counts from then on, also for what stands`() async throws {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves)
    let (store, workspace) = (fleet.store, fleet.workspace)
    let (arrivals, sink) = AsyncStream.makeStream(of: DriftWatch.Arrival.self)
    let said = Said()
    let watching = Task {
      var ended = DriftWatch.Ended(lost: [], watched: [Self.host], strangers: [])
      try await DriftWatch(workspace, limits: ContactLimits()).tell(arrivals, sink, &ended, store) { groups in
        said.waived.withLock { $0 += groups.map(\.first.isWaived) }
        return true
      }
      return ended
    }
    func differs(_ host: HostID) async throws {
      let count = said.waived.withLock { $0.count }
      sink.yield(
        .change(WatchedChange(host: host, at: SystemClock().now(), event: .differs, difference: Digest(of: [7]))))
      while said.waived.withLock({ $0.count }) == count { try await Task.sleep(for: .milliseconds(10)) }
    }
    func waive(_ host: HostID) async throws {
      try await store.save(waivers: [
        Waiver(
          host: host, difference: Digest(of: [7]), words: "", ends: SystemClock().now() + 3600, reason: "r", actor: "a",
          made: UTCTime(secondsSinceEpoch: 0))
      ])
    }
    let others = [HostID("h002")!, HostID("h003")!]
    try await differs(Self.host)
    for host in others { try await differs(host) }
    try await waive(Self.host)
    try await differs(Self.host)
    try await waive(others[0])
    sink.yield(.over)
    #expect(try await watching.value.differing == [others[1]])
    #expect(said.waived.withLock { $0 } == [false, false, false, true])
    _ = fleet
  }

  @Test func `an agent that does not know the question is told of once, and left alone`() async {
    let agents = FakeAgents { _, message in
      switch message {
      case .hello: Self.hello()
      default: .refused(Refusal(code: .unsupported, detail: "message type 12 is unknown"))
      }
    }
    // The stream of what is told ends with the watch.
    let told = await Self.watch(agents, until: 2)
    #expect(told.count == 1 && agents.connections == 1)
    guard case .lost(let why)? = told.first?.event else {
      Issue.record("\(told)")
      return
    }
    #expect(why.contains("enroll"))
  }

  @Test func `another host that answers is not watched`() async {
    let told = await Self.watch(FakeAgents { _, _ in Self.hello(HostID("h002")!) }, until: 1)
    guard case .lost(let why)? = told.first?.event else {
      Issue.record("\(told)")
      return
    }
    #expect(why.contains("h002"))
  }

  /// - Parameter entries: in each answer, whatever it was asked for.
  private static func talker(_ entries: @escaping @Sendable (UInt64) -> [HostChange]) -> FakeAgents {
    let answers = Mutex<UInt64>(0)
    return FakeAgents { _, message in
      switch message {
      case .hello: return hello()
      case .report(let nonce): return .report(report(nonce, differs: false))
      case .watch(_, 0): return .changes(Changes(last: 5))
      case .watch:
        let number = answers.withLock {
          $0 += 1
          return $0
        }
        return .changes(Changes(entries: entries(number), last: number))
      default: return nil
      }
    }
  }

  @Test func `a host that invents changes, or answers at once without any, is lost and not listened to for ever`()
    async
  {
    // Numbers that go backwards change nothing of that.
    let inventor = Self.talker { answer in
      (0..<64).map { Self.change(UInt64.max - answer * 64 - $0, differs: false) }
    }
    let told = await Self.watch(inventor, until: 1985)
    guard case .lost(let why)? = told.last?.event else {
      Issue.record("\(told.count): \(String(describing: told.last))")
      return
    }
    #expect(why.contains("2048 changes a minute") && told.count == 1985 && inventor.connections == 1)

    let hurried = Self.talker { _ in [] }
    guard case .lost? = await Self.watch(hurried, until: 1).last?.event else {
      Issue.record("it is listened to")
      return
    }
    #expect(hurried.connections(saying: { $0.type == .watch }).count == 2049)
  }

  @Test func `a minute is a minute, and a host that ends every conversation is called ever less often`() throws {
    var pace = WatchPace()
    let start = ContinuousClock.now
    for _ in 0..<32 { try pace.take(64, at: start) }
    #expect(throws: Reason.self) { try pace.take(0, at: start.advanced(by: .seconds(59))) }
    try pace.take(64, at: start.advanced(by: .seconds(61)))
    var pause = WatchPace.pauses.first
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
      pause = WatchPace.pause(after: pause, watchedFor: .seconds(3))
      #expect(pause == .seconds(seconds))
    }
    #expect(WatchPace.pause(after: pause, watchedFor: .seconds(90)) == .seconds(1))
  }

  @Test func `two changes of one number are two, and the lines stand with the last`() async {
    let agents = FakeAgents { _, message in
      switch message {
      case .hello: return Self.hello()
      case .report(let nonce): return .report(Self.report(nonce, differs: false))
      case .text(let request):
        return .text(
          request, piece: Array((request.side == .expected ? Self.committed : Self.changed).utf8), last: true)
      case .watch(_, 0): return .changes(Changes(last: 5))
      case .watch(5, _):
        return .changes(
          Changes(entries: [Self.change(3, differs: true), Self.change(3, differs: true)], last: 3))
      default: return nil
      }
    }
    let told = await Self.watch(agents, until: 2)
    #expect(told.map { $0.moves.map(\.text) } == [[], ["+-A INPUT -j ACCEPT"]])
  }
}

/// A second later each time that somebody looks.
private final class Ticking: WallClock {
  private let seconds = Mutex<Int64>(1_790_000_000)

  func now() -> UTCTime {
    UTCTime(
      secondsSinceEpoch: seconds.withLock {
        $0 += 1
        return $0
      })
  }
}
