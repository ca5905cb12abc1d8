package import Audit
package import Core
internal import Glibc
internal import Inventory
internal import Policy
package import Rollout
package import Store
internal import Wire

/// Brings an approved plan to the hosts: makes the release, carries every host its bundle, records what came of it.
package struct Applying: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let result: DeliveryResult
    /// When the result came in.
    let at: UTCTime
    /// False: the run was interrupted before its turn, so its silence says nothing.
    var wasTried = true
  }

  package struct Applied: Sendable {
    /// Nil when nothing had to be done, so that no release was made.
    package let release: StoredRelease?
    /// By name.
    package let hosts: [Host]
    package let tally: RunTally
    /// The hosts were changed, but this controller could not write down what came of it.
    package var recordingFailure: (any Error)?
    /// Hosts of the plan that got nothing because they are not enrolled, or because no policy applies to them.
    package let leftOut: [HostID]
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// - Parameter reason: printable ASCII, at most 512 bytes; part of what is signed.
  /// - Parameter told: every host's result as it comes.
  package func apply(
    _ planned: Planning.Planned, store: FleetStore, reason: String, told: (Host) -> Void
  ) async throws -> Applied {
    let touched = planned.plan.touched.map(\.host)
    // A controller that lost its memory must not say that all is well.
    if !planned.plan.hosts.isEmpty, planned.plan.hosts.allSatisfy({ $0.action == .notEnrolled }) {
      throw Failure(
        "apply", because: Reason("none of these hosts is enrolled, as far as this controller knows"),
        hint: "enroll them, again if its state was lost: portcullis enroll HOST…")
    }
    guard !touched.isEmpty else {
      return Applied(release: nil, hosts: [], tally: RunTally(), leftOut: Self.leftOut(planned))
    }
    let release = try await Releasing(workspace: workspace, store: store)
      .make(planned.drafts, above: planned.floor, reason: reason)
    let run = try await store.beginRun(
      verb: "apply", actor: Self.actor, reason: reason, serial: release.serial, at: workspace.clock.now())
    let couriers = try await couriers(touched, planned.drafts, release, store)

    var tally = RunTally()
    var hosts: [Host] = []
    var reports: [ReceivedReport] = []
    await FanOut.each(couriers, parallel: limits.parallel) { courier in
      // A task of its own: whoever interrupts us stops new hosts, and waits for those that are being changed.
      await Task { await courier.deliver() }.value
    } finished: { courier, delivered in
      let now = workspace.clock.now()
      let host = Host(host: courier.target.host, result: delivered.result, at: now)
      if let report = delivered.report { reports.append(ReceivedReport(report, receivedAt: now)) }
      tally.count(delivered.result)
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
    var recordingFailure: (any Error)?
    do {
      try await store.record(reports: reports)
      try await record(hosts, planned.drafts, release, run, tally, store)
    } catch {
      // Hosts were changed: what came of them must reach the person, also when the disk is full.
      recordingFailure = error
      tally.errors += 1
    }
    return Applied(
      release: release, hosts: hosts, tally: tally, recordingFailure: recordingFailure, leftOut: Self.leftOut(planned))
  }

  private static func leftOut(_ planned: Planning.Planned) -> [HostID] {
    planned.plan.hosts.filter { $0.action == .notEnrolled || $0.action == .noPolicy }.map(\.host)
  }

  private func couriers(
    _ hosts: [HostID], _ drafts: Drafts, _ release: StoredRelease, _ store: FleetStore
  ) async throws -> [Courier] {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let connector = try workspace.connector()
    var couriers: [Courier] = []
    for host in hosts {
      guard let draft = drafts.byHost[host], let files = try await store.bundleFiles(for: host, serial: release.serial),
        let manifest = files[.manifest]
      else { throw Failure("apply to \(host)", because: Reason("release \(release.serial) has no bundle for it")) }
      let compiled = draft.compiled
      couriers.append(
        Courier(
          connector: connector, endpoint: endpoints.endpoint(of: draft.host, as: .agent),
          target: .init(
            host: host, fleet: workspace.configuration.fleet, transaction: .random(), manifest: Digest(of: manifest)),
          files: files, timeout: limits.timeout,
          source: { compiled.source(of: $0.family, line: $0.line) }))
    }
    return couriers
  }

  private func record(
    _ hosts: [Host], _ drafts: Drafts, _ release: StoredRelease, _ run: RunID, _ tally: RunTally, _ store: FleetStore
  ) async throws {
    var attempts: [HostID: DeliveryAttempt] = [:]
    var silent: [HostID: ContactFailure] = [:]
    for host in hosts {
      let (word, detail) = host.result.words
      attempts[host.host] = DeliveryAttempt(
        content: drafts.byHost[host.host]!.content, serial: release.serial, result: word, detail: detail, at: host.at)
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

  /// The login that started us, for the record: sudo's caller rather than root.
  private static var actor: String {
    for name in ["SUDO_USER", "LOGNAME", "USER"] {
      if let value = getenv(name), value.pointee != 0 { return String(cString: value) }
    }
    return "uid \(getuid())"
  }
}

extension DeliveryResult {
  package var words: (result: DeliveryAttempt.Result, detail: String) {
    switch self {
    case .current: (.committed, "")
    case .reverted(let why): (.reverted, why)
    case .failed(let why, _): (.failed, why)
    case .unreachable(let why): (.pending, why)
    case .unknown(let why): (.unknown, why)
    }
  }
}
