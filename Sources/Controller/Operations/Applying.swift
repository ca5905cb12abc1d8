package import Audit
package import Core
internal import Inventory
internal import Policy
package import Release
package import Rollout
package import Store
package import Wire

/// Brings an approved plan to the hosts: makes the release, carries every host its bundle, records what came of it.
package struct Applying: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let result: DeliveryResult
    /// When the result came in.
    let at: UTCTime
    /// False: the run was interrupted before its turn, so its silence says nothing.
    var wasTried = true

    fileprivate var runsWhatItShould: Bool { if case .current = result { true } else { false } }
  }

  package struct Applied: Sendable {
    /// Nil when nothing had to be done, so that no release was made.
    package let release: StoredRelease?
    /// By name.
    package let hosts: [Host]
    package let tally: RunTally
    /// The hosts were changed, but this controller could not write down what came of it.
    package var recordingFailure: (any Error)?
    /// Changes that a person has to confirm.
    package let awaiting: [AwaitingChange]
    /// Hosts of the plan that stay withdrawn.
    package let withdrawn: [HostID]
    /// Hosts of the plan that got nothing because they are not enrolled, or because no policy applies to them.
    package let leftOut: [HostID]
    /// Why hosts that were asked first, and got nothing, did not answer; nil when none was asked.
    package let unreachable: [HostID: String]?
  }

  package let workspace: Workspace
  let limits: ContactLimits
  let terms: ConfirmationTerms
  let grants: [Grant]

  /// - Parameter grants: for the hosts that this run touches, in this release only.
  package init(
    _ workspace: Workspace, limits: ContactLimits, terms: ConfirmationTerms = .standard, grants: [Grant] = []
  ) {
    self.workspace = workspace
    self.limits = limits
    self.terms = terms
    self.grants = grants
  }

  /// - Parameter verb: for the record.
  /// - Parameter reason: printable ASCII, at most 512 bytes; part of what is signed.
  /// - Parameter told: every host's result as it comes.
  package func apply(
    _ planned: Planning.Planned, store: FleetStore, verb: String = "apply", reason: String, told: (Host) -> Void
  ) async throws -> Applied {
    let touched = planned.plan.touched.map(\.host)
    let delivered = Set(touched)
    // A controller that lost its memory must not say that all is well.
    if !planned.plan.hosts.isEmpty, planned.plan.hosts.allSatisfy({ $0.action == .notEnrolled }) {
      throw Failure.noneEnrolled(verb)
    }
    let silent = planned.unreachable?.filter { host, _ in !delivered.contains(host) }
    var tally = RunTally()
    tally.unreachable = silent?.count ?? 0
    guard !touched.isEmpty else {
      return Applied(
        release: nil, hosts: [], tally: tally, awaiting: [], withdrawn: Self.withdrawn(planned),
        leftOut: Self.leftOut(planned), unreachable: silent)
    }
    try await requireCommitted(planned.putBack, store)
    let release = try await Releasing(workspace: workspace, store: store)
      .make(
        planned.content, above: planned.floor, after: planned.lastSerial, reason: reason, grants: grants, to: delivered)
    let run = try await store.beginRun(
      verb: verb, actor: Actor.name, reason: reason, serial: release.serial, at: workspace.clock.now())
    let couriers = try await couriers(planned.plan.touched, planned.content, release, store)

    var hosts: [Host] = []
    var reports: [ReceivedReport] = []
    var surprises: [ReceivedReport] = []
    await FanOut.each(couriers, parallel: limits.parallel) { courier in
      // A task of its own: whoever interrupts us stops new hosts, and waits for those that are being changed.
      await Task { await courier.deliver() }.value
    } finished: { courier, delivery in
      let now = workspace.clock.now()
      let host = Host(host: courier.target.host, result: delivery.result, at: now)
      if let report = delivery.report.map({ ReceivedReport($0, receivedAt: now) }) {
        if case .stale = delivery.result { surprises.append(report) } else { reports.append(report) }
      }
      tally.count(delivery.result)
      hosts.append(host)
      told(host)
    }
    // Interrupted before their turn: nothing was asked of them.
    let reached = Set(hosts.map(\.host))
    for host in touched where !reached.contains(host) {
      let result = DeliveryResult.unreachable("the run was interrupted before its turn")
      tally.count(result)
      hosts.append(Host(host: host, result: result, at: workspace.clock.now(), wasTried: false))
    }
    tally.interrupted = Task.isCancelled
    hosts.sort { $0.host < $1.host }
    let awaiting = hosts.compactMap { Self.awaiting($0, planned.content, release) }
    var recordingFailure: (any Error)?
    do {
      // First: without them nobody can confirm.
      try await store.save(awaiting: awaiting)
      try await store.forgetAwaiting(of: hosts.filter(\.runsWhatItShould).map(\.host))
      try await store.record(reports: reports, after: OurDeed(verb: verb))
      // The next plan knows of them.
      try await store.record(reports: surprises)
      try await record(hosts, planned.content, release, run, tally, store)
      try await workspace.configuration.retention.prune(store, at: workspace.clock.now())
      try await workspace.configuration.retention.pruneReleases(store)
    } catch {
      // Hosts were changed: what came of them must reach the person, also when the disk is full.
      recordingFailure = error
      tally.errors += 1
    }
    return Applied(
      release: release, hosts: hosts, tally: tally, recordingFailure: recordingFailure, awaiting: awaiting,
      withdrawn: Self.withdrawn(planned), leftOut: Self.leftOut(planned), unreachable: silent)
  }

  /// A release that was being brought when the plan was made has come to its end since.
  private func requireCommitted(_ planned: [HostID: Digest], _ store: FleetStore) async throws {
    guard !planned.isEmpty else { return }
    let now = try await store.observations()
    let moved = planned.filter { now[$0]?.lastReport?.report.committed?.content != $1 }.keys.sorted()
    guard moved.isEmpty else {
      throw Failure(
        "put back what was committed",
        because: Reason(
          "the plan is stale: they committed something else since: \(Folding.fold(moved.map(\.description)))"),
        hint: "look at a new plan, and approve that", kind: .refused)
    }
  }

  private static func awaiting(_ host: Host, _ content: ReleaseContent, _ release: StoredRelease) -> AwaitingChange? {
    guard case .awaiting(let change) = host.result, let said = content.byHost[host.host] else { return nil }
    return AwaitingChange(
      host: host.host,
      confirmation: ChangeConfirmation(
        transaction: change.transaction, manifest: change.manifest, nonce: change.nonce),
      content: said.content, serial: release.serial, until: host.at + Int64(change.millisecondsLeft / 1000))
  }

  private static func withdrawn(_ planned: Planning.Planned) -> [HostID] {
    planned.plan.hosts.filter { $0.action == .unchanged && $0.mode == Manifest.Mode.withdrawn.rawValue }.map(\.host)
  }

  private static func leftOut(_ planned: Planning.Planned) -> [HostID] {
    planned.plan.hosts.filter { $0.action == .notEnrolled || $0.action == .noPolicy }.map(\.host)
  }

  private func couriers(
    _ hosts: [PlannedHost], _ content: ReleaseContent, _ release: StoredRelease, _ store: FleetStore
  ) async throws -> [Courier] {
    let released = try await store.contents(
      releasedAbove: Dictionary(uniqueKeysWithValues: hosts.map { ($0.host, $0.committed?.serial ?? .none) }))
    let inventory = try workspace.inventory()
    let endpoints = Endpoints(inventory: inventory, configuration: workspace.configuration)
    let connector = try workspace.connector()
    var couriers: [Courier] = []
    for planned in hosts {
      let host = planned.host
      guard let said = content.byHost[host], let known = inventory.host(named: host.description),
        let files = try await store.bundleFiles(for: host, serial: release.serial), let manifest = files[.manifest]
      else { throw Failure("apply to \(host)", because: Reason("release \(release.serial) has no bundle for it")) }
      couriers.append(
        Courier(
          connector: connector, endpoint: endpoints.endpoint(of: known, as: .agent),
          target: .init(
            host: host, fleet: workspace.configuration.fleet, transaction: .random(), manifest: Digest(of: manifest),
            premise: Premise(
              committed: planned.committed, released: released[host] ?? [], content: said.content), terms: terms),
          files: files, timeout: limits.timeout,
          source: { [traces = said.traces] in traces?[$0.family].source(line: $0.line) }))
    }
    return couriers
  }

  private func record(
    _ hosts: [Host], _ content: ReleaseContent, _ release: StoredRelease, _ run: RunID, _ tally: RunTally,
    _ store: FleetStore
  ) async throws {
    var attempts: [HostID: DeliveryAttempt] = [:]
    var silent: [HostID: ContactFailure] = [:]
    for host in hosts {
      let (word, detail) = host.result.words
      attempts[host.host] = DeliveryAttempt(
        content: content.byHost[host.host]!.content, serial: release.serial, result: word, detail: detail, at: host.at)
      if host.wasTried, case .unreachable(let why) = host.result {
        silent[host.host] = ContactFailure(at: host.at, reason: why)
      }
    }
    try await store.record(attempts: attempts)
    try await store.record(contactFailures: silent)
    try await store.record(
      run: run,
      results: hosts.map {
        RunHostResult(host: $0.host, result: $0.result.words.result.rawValue, detail: $0.result.words.detail)
      })
    try await store.endRun(run, exitCode: tally.exitCode.rawValue, at: workspace.clock.now())
  }
}

extension Failure {
  /// Not a success with nothing to do: the controller may have lost its memory.
  static func noneEnrolled(_ operation: String) -> Failure {
    Failure(
      operation, because: Reason("none of these hosts is enrolled, as far as this controller knows"),
      hint:
        "enroll them, again if its state was lost: portcullis enroll HOST…; one that was damaged and begun anew learns "
        + "of them by 'portcullis status --refresh'")
  }
}

extension DeliveryResult {
  package var words: (result: DeliveryAttempt.Result, detail: String) {
    switch self {
    case .current(_, let warnings): (.committed, warnings.joined(separator: "; "))
    case .awaiting(let change):
      (.pending, "waits for 'portcullis confirm', \(change.millisecondsLeft / 1000) s left")
    case .reverted(let why): (.reverted, why)
    case .failed(let why, _), .stale(let why): (.failed, why)
    case .unreachable(let why): (.pending, why)
    case .unknown(let why): (.unknown, why)
    }
  }
}
