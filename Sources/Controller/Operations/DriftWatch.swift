package import Audit
package import Core
package import Inventory
package import Store
internal import Transport
internal import Wire

/// Holds a connection to each host, and tells what changes there as it happens.
package struct DriftWatch: Sendable {
  /// How hosts stood when the watch ended.
  package struct Ended: Sendable {
    /// They differ from what they committed, and nobody answers for that.
    package var differing: Set<HostID> = []
    /// They are not watched.
    package var lost: Set<HostID>
    package var watched: Set<HostID>
    /// They were asked for, and are not enrolled.
    package var strangers: [HostID]
    /// Whatever differs, with what it is where that is known.
    var standing: [HostID: WatchedChange] = [:]
  }

  /// The same of several hosts within this time is said once. A line may be late by so much.
  private static let window = Duration.milliseconds(250)

  enum Arrival: Sendable {
    case change(WatchedChange)
    case heard(HeardChanges)
    case windowEnds
    case over
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// - Parameters:
  ///   - time: nil for until the task is cancelled, which throws.
  ///   - say: called with what is to be told together, in the order it came; false when nobody reads it any more.
  package func watch(
    _ hosts: [InventoryHost], store: FleetStore, for time: Duration?, say: ([WatchedGroup]) throws -> Bool
  ) async throws -> Ended {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let enrolled = try await store.enrolments()
    let watched = hosts.filter { enrolled[$0.id] != nil }
    guard !watched.isEmpty else {
      throw Failure.noneEnrolled("watch for drift")
    }
    let (arrivals, sink) = AsyncStream.makeStream(of: Arrival.self)
    let sweep = Sweep(connector: try workspace.connector(), limits: limits)
    let gate = Gate(limits.parallel)
    let watches = watched.map { host in
      HostWatch(
        host: host.id, fleet: workspace.configuration.fleet, endpoint: endpoints.endpoint(of: host, as: .agent),
        sweep: sweep, gate: gate, clock: workspace.clock, tell: { sink.yield(.change($0)) },
        heard: { if !$0.changes.entries.isEmpty { sink.yield(.heard($0)) } })
    }
    // Who never answers was never watched.
    let names = Set(watched.map(\.id))
    var ended = Ended(lost: names, watched: names, strangers: hosts.map(\.id).filter { !names.contains($0) })
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      for watch in watches { group.addTask { await watch.run() } }
      if let time {
        group.addTask {
          try? await Task.sleep(for: time)
          sink.yield(.over)
        }
      }
      try await tell(arrivals, sink, &ended, store, say)
    }
    return ended
  }

  /// Judges by the waivers of the moment: one that is made while somebody watches counts from then on.
  func tell(
    _ arrivals: AsyncStream<Arrival>, _ sink: AsyncStream<Arrival>.Continuation, _ ended: inout Ended,
    _ store: FleetStore, _ say: ([WatchedGroup]) throws -> Bool
  ) async throws {
    var waivers: [HostID: Waiver] = [:]
    var together: [WatchedChange] = []
    func sayTogether() async throws -> Bool {
      await reread(&waivers, store)
      let now = workspace.clock.now()
      defer { together = [] }
      return try say(WatchedGroup.fold(together.map { $0.judged(by: waivers, at: now) }))
    }
    var heard: [HeardChanges] = []
    for await arrival in arrivals {
      switch arrival {
      case .change(let change):
        ended.learn(change)
        if case .heard = change.event { continue }
        together.append(change)
        guard together.count == 1 else { continue }
        Task {
          try? await Task.sleep(for: Self.window)
          sink.yield(.windowEnds)
        }
      case .windowEnds:
        let isRead = try await sayTogether()
        await keep(&heard, store)
        guard isRead else { return await judge(&ended, &waivers, store) }
      case .over:
        if !together.isEmpty { _ = try await sayTogether() }
        await keep(&heard, store)
        return await judge(&ended, &waivers, store)
      case .heard(let changes): heard.append(changes)
      }
    }
    await keep(&heard, store)
    try Task.checkCancellation()
  }

  private func judge(_ ended: inout Ended, _ waivers: inout [HostID: Waiver], _ store: FleetStore) async {
    await reread(&waivers, store)
    ended.judge(by: waivers, at: workspace.clock.now())
  }

  /// A watch goes on where they cannot be read: those of before stand.
  private func reread(_ waivers: inout [HostID: Waiver], _ store: FleetStore) async {
    do {
      waivers = Dictionary(uniqueKeysWithValues: try await store.waivers().map { ($0.host, $0) })
    } catch {
      workspace.told("warning: \(ErrorChain(error).line)")
    }
  }

  /// A watch goes on where nothing can be written: the next sweep asks for the same again.
  private func keep(_ heard: inout [HeardChanges], _ store: FleetStore) async {
    do { try await store.record(changes: heard) } catch {
      workspace.told("warning: \(ErrorChain(error).line)")
    }
    heard = []
  }
}

extension DriftWatch.Ended {
  fileprivate mutating func judge(by waivers: [HostID: Waiver], at now: UTCTime) {
    differing = Set(standing.values.filter { !$0.judged(by: waivers, at: now).isWaived }.map(\.host))
  }

  fileprivate mutating func learn(_ change: WatchedChange) {
    switch change.event {
    case .heard(let differs):
      lost.remove(change.host)
      if let differs { stands(change, differs) }
    case .differs: stands(change, true)
    case .changed(_, let differs, _, _): stands(change, differs.ipv4 || differs.ipv6)
    case .waits, .forgotten, .watchedAgain: break
    case .lost: lost.insert(change.host)
    }
  }

  private mutating func stands(_ change: WatchedChange, _ differs: Bool) {
    standing[change.host] = differs ? change : nil
  }
}
