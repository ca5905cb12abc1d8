internal import Audit
internal import Core
internal import Synchronization
internal import Transport
internal import Wire

/// Watches one host for as long as its task lives: over one connection, and over another one when that ends.
struct HostWatch: Sendable {
  /// What was learnt over earlier connections.
  private struct Memory {
    /// The last change that was told; nil before the host first answered.
    var told: UInt64?
    var lines = DifferingLines()
    /// As it said last.
    var observed: PerFamily<Digest>?
    /// How far the host's clock is ahead of ours, in seconds.
    var ahead: Int64 = 0
    /// As `HostDrift.exact`.
    var difference: Digest?
    /// A change that waits, and when the host takes it back by itself, by our own clock.
    var waits: (for: TransactionID, until: UTCTime)?
    var isLost = false
    var pace = WatchPace()
  }

  /// An agent that answers no sooner than this, though nothing changed, is asked again: so a dead connection is noticed.
  private static let patience: UInt16 = 60
  /// In seconds: what an agent needs to find a change that its report shows already.
  private static let grace: UInt16 = 3
  /// Over one connection. A busy host's two texts of 2 MiB each 5 s come to 960 MiB in the time that a connection has; what
  /// one text may hold, and how many changes a minute, is limited besides.
  private static let receivedBytes = 1 << 30
  /// Longer than any agent lets a connection live.
  private static let longest = Duration.seconds(1200)

  let host: HostID
  let fleet: FleetID
  let endpoint: HostEndpoint
  let sweep: Sweep
  let gate: Gate
  let clock: any WallClock
  let tell: @Sendable (WatchedChange) -> Void
  /// Hears the same as the agent said it.
  var heard: @Sendable (HeardChanges) -> Void = { _ in }

  func run() async {
    var memory = Memory()
    var pause = WatchPace.pauses.first
    while !Task.isCancelled {
      let began = ContinuousClock.now
      var watched = Duration.zero
      do {
        try await watch(&memory)
      } catch {
        if Task.isCancelled { return }
        watched = began.duration(to: .now)
        // What an agent ends after its time is opened anew without a word.
        if watched > .seconds(Int(Self.patience)), !memory.isLost { continue }
        if !memory.isLost {
          memory.isLost = true
          say(.lost(SafeText.escape(ErrorChain(error).line)))
        }
        if error is TooOld { return }
      }
      try? await Task.sleep(for: pause)
      pause = WatchPace.pause(after: pause, watchedFor: watched)
    }
  }

  /// An agent that does not know the question will not know it later.
  private struct TooOld: Error, CustomStringConvertible {
    let description = "its agent cannot be watched: it is of an older version; enroll the host again to upgrade it"
  }

  private func say(_ event: WatchedChange.Event, difference: Digest? = nil, until: UTCTime? = nil) {
    tell(WatchedChange(host: host, at: clock.now(), event: event, difference: difference, until: until))
  }

  /// What a conversation has come to, for whoever waits for its end.
  private final class Progress: Sendable {
    private let state: Mutex<(memory: Memory, heard: ContinuousClock.Instant)>

    init(_ memory: Memory) { state = Mutex((memory, .now)) }

    var memory: Memory { state.withLock { $0.memory } }
    var heard: ContinuousClock.Instant { state.withLock { $0.heard } }

    func learn(_ memory: Memory) { state.withLock { $0 = (memory, .now) } }
  }

  /// Ends only by an error: that of the connection, or of a host that says nothing any more.
  private func watch(_ memory: inout Memory) async throws {
    let progress = Progress(memory)
    let limit = Duration.seconds(Int(Self.patience)) + sweep.limits.timeout
    defer { memory = progress.memory }
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      group.addTask { try await converse(progress) }
      group.addTask {
        while true {
          let end = progress.heard.advanced(by: limit)
          guard end > .now else { throw Reason("it says nothing any more") }
          try await Task.sleep(until: end, clock: .continuous)
        }
      }
      try await group.next()
    }
  }

  private func converse(_ progress: Progress) async throws {
    var memory = progress.memory
    await gate.enter()
    var link: AgentLink
    do {
      link = try await AgentLink.open(
        endpoint, over: sweep.connector, deadline: ContinuousClock.now.advanced(by: Self.longest),
        receivedBytes: Self.receivedBytes)
    } catch {
      await gate.leave()
      throw error
    }
    do {
      do {
        try await begin(&link, &memory)
      } catch {
        await gate.leave()
        throw error
      }
      await gate.leave()
      progress.learn(memory)
      while true {
        let changes = try await changes(&link, &memory, after: memory.told ?? 0, seconds: seconds(memory))
        try await take(changes, &link, &memory)
        if let end = memory.waits?.until, end < clock.now() {
          try await hear(try await report(&link, &memory), &link, &memory)
        }
        progress.learn(memory)
      }
    } catch {
      await link.close()
      throw error
    }
  }

  /// Learns where the host stands, over each connection: what changed while nobody watched need not be among the changes
  /// that its agent remembers. What changes from here on comes after the number that is asked for first.
  private func begin(_ link: inout AgentLink, _ memory: inout Memory) async throws {
    let isFirst = memory.told == nil
    let missed = try await changes(&link, &memory, after: memory.told ?? .max, seconds: 0)
    let report = try await report(&link, &memory)
    if memory.isLost {
      memory.isLost = false
      say(.watchedAgain)
    }
    if isFirst { memory.told = missed.last } else { try await take(missed, &link, &memory) }
    try await hear(report, &link, &memory)
  }

  private func report(_ link: inout AgentLink, _ memory: inout Memory) async throws -> Report {
    let nonce = Nonce.random()
    try await link.askReport(nonce)
    guard case .report(let report) = try await answer(&link), report.nonce == nonce, report.host == host else {
      throw Reason("it answered another question")
    }
    memory.ahead = report.time - clock.now()
    return report
  }

  private func hear(_ report: Report, _ link: inout AgentLink, _ memory: inout Memory) async throws {
    if let pending = report.pending {
      let end = clock.now() + Int64(pending.millisecondsLeft) / 1000
      // What it has loaded is no difference; whether it stays is told when that is known.
      if memory.waits?.for != pending.transaction { say(.waits(pending.serial), until: end) }
      memory.waits = (pending.transaction, end)
      return say(.heard(differs: nil))
    }
    memory.waits = nil
    let observed = report.families.map { _, facts in facts.observed }
    let differs = report.families.map { _, facts in facts.expected.map { $0 != facts.observed } ?? false }
    if let before = memory.observed, before != observed {
      // An agent that has just started is about to say the same, and by whom.
      try await take(try await changes(&link, &memory, after: memory.told ?? 0, seconds: Self.grace), &link, &memory)
    }
    if memory.observed != observed {
      try await tellStanding(differs, isFirst: memory.observed == nil, report.time, &link, &memory)
    }
    memory.observed = observed
    say(.heard(differs: differs.ipv4 || differs.ipv6), difference: memory.difference)
  }

  /// A change that was taken back left nothing that its agent would tell: it is asked when the change must be over.
  private func seconds(_ memory: Memory) -> UInt16 {
    guard let end = memory.waits?.until else { return Self.patience }
    return UInt16(min(max(end - clock.now() + 1, Int64(Self.grace)), Int64(Self.patience)))
  }

  /// What its report says that no change said.
  private func tellStanding(
    _ differs: PerFamily<Bool>, isFirst: Bool, _ time: UTCTime, _ link: inout AgentLink, _ memory: inout Memory
  ) async throws {
    let learnt = try await learn(differs, &link, &memory)
    let isNews = isFirst ? differs.ipv4 || differs.ipv6 : !learnt.moves.isEmpty || !learnt.beside.isEmpty
    guard isNews else { return }
    let changed = WatchedChange.Event.changed(.others, families: differs, chains: [], omittedChains: 0)
    tell(
      WatchedChange(
        host: host, at: clock.now(), event: isFirst ? .differs : changed, difference: memory.difference,
        hostTime: time, moves: learnt.moves, beside: learnt.beside, unread: learnt.unread))
  }

  /// What came and went since the last time, or why that is not known.
  private struct Learnt {
    var moves: [DifferingLines.Move] = []
    var beside: [String] = []
    var unread: String?
  }

  /// Reads what differs now.
  private func learn(
    _ differs: PerFamily<Bool>, _ link: inout AgentLink, _ memory: inout Memory
  ) async throws -> Learnt {
    let drift = try await drift(differs, &link)
    let lines = DifferingLines(drift)
    defer { memory.lines = lines }
    memory.difference = drift?.exact
    return Learnt(
      moves: memory.lines.moves(to: lines), beside: memory.lines.besideMoves(to: lines), unread: drift?.whyUnread)
  }

  private func take(_ changes: Changes, _ link: inout AgentLink, _ memory: inout Memory) async throws {
    let after = memory.told ?? 0
    // An agent that lost its memory counts anew.
    memory.told = changes.last
    if changes.last >= after {
      heard(HeardChanges(host: host, at: clock.now(), ahead: memory.ahead, after: after, changes: changes))
    }
    if changes.omitted > 0 { say(.forgotten(changes.omitted)) }
    guard let last = changes.entries.last else { return }
    let learnt = try await learn(last.families.map { _, side in side.differs }, &link, &memory)
    memory.observed = last.families.map { _, side in side.observed }
    for (index, entry) in changes.entries.enumerated() {
      // Not by its number: a host may say the same one twice.
      let isLast = index == changes.entries.count - 1
      tell(
        WatchedChange(
          host: host, at: clock.now(),
          event: .changed(
            entry.cause, families: entry.families.map { _, side in side.differs }, chains: entry.chains,
            omittedChains: entry.omittedChains),
          difference: isLast ? memory.difference : nil, hostTime: entry.time, hostSince: entry.since,
          actors: entry.actors, moves: isLast ? learnt.moves : [], beside: isLast ? learnt.beside : [],
          unread: isLast ? learnt.unread : nil))
    }
  }

  /// What differs in these families, in the host's own words.
  private func drift(_ differs: PerFamily<Bool>, _ link: inout AgentLink) async throws -> HostDrift? {
    var texts = PerFamily<Sweep.Sides?>(ipv4: nil, ipv6: nil)
    for family in Family.allCases where differs[family] {
      texts[family] = try await sweep.sides(of: family, isBeforeUs: false, &link)
      if texts[family]?.isTooLong == true { break }
    }
    return sweep.drift(of: host, texts)
  }

  private func changes(
    _ link: inout AgentLink, _ memory: inout Memory, after told: UInt64, seconds: UInt16
  ) async throws -> Changes {
    try await link.watch(after: told, seconds: seconds)
    guard case .changes(let changes) = try await answer(&link) else { throw Reason("it answered another question") }
    try memory.pace.take(changes.entries.count)
    return changes
  }

  private func answer(_ link: inout AgentLink) async throws -> ControllerEvent {
    while true {
      switch try await link.next() {
      case .hello(let hello):
        guard hello.host == host, hello.fleet == fleet else {
          throw Reason("the host that answered is \(hello.host) of fleet \(hello.fleet)")
        }
      case .refused(.watch?, let refusal) where refusal.code == .unsupported: throw TooOld()
      case .refused(_, let refusal): throw Reason("it refused: \(SafeText.escape(refusal.detail))")
      case let answer: return answer
      }
    }
  }
}

extension HostDrift {
  /// Why its lines are not known.
  fileprivate var whyUnread: String? {
    if case .unreadable(let why) = finding { why } else { nil }
  }
}
