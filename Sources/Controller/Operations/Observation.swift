package import Audit
package import Core
package import Inventory
package import Store
internal import Wire

/// What is known of hosts, after asking them or from memory.
package struct Observation: Sendable {
  package let workspace: Workspace
  package let limits: ContactLimits

  package init(workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// Asks the hosts, and records every answer and every silence before it returns.
  package func refresh(_ hosts: [InventoryHost], store: FleetStore) async throws {
    try await ask(hosts, store: store, .ignored) { _, _ in }
  }

  /// What hosts said that were just asked.
  package struct Refreshed: Sendable {
    /// Both sides of each host that differs.
    package var texts: [HostID: PerFamily<Sweep.Sides?>] = [:]
    /// In words for an operator, by host: nothing newer is known of them than what they said before.
    package var unreachable: [HostID: String] = [:]
    /// Before the first of them was asked.
    package var lastSerial = Serial.none
  }

  /// The same.
  package func refreshWithTexts(_ hosts: [InventoryHost], store: FleetStore) async throws -> Refreshed {
    var refreshed = Refreshed()
    refreshed.lastSerial = try await store.lastSerial()
    refreshed.unreachable = try await ask(hosts, store: store, .texts) { refreshed.texts[$0] = $1.texts }
    return refreshed
  }

  /// The same.
  /// - Returns: what differs on each host that does, compared as it answered, or as it was when it last said the same.
  func refreshComparing(_ hosts: [InventoryHost], store: FleetStore) async throws -> [HostID: HostDrift] {
    var drifts: [HostID: HostDrift] = [:]
    var learnt: [KnownDifference] = []
    let known = KnownDifferences(try await store.differences(of: hosts.map(\.id))) { digest in
      try await store.difference(digest)
    }
    try await ask(hosts, store: store, .compared(known)) { host, answer in
      drifts[host] = answer.drift
      if let difference = answer.difference { learnt.append(difference) }
    } recorded: {
      try await store.remember(learnt)
    }
    return drifts
  }

  /// - Returns: why hosts could not be asked.
  @discardableResult
  private func ask(
    _ hosts: [InventoryHost], store: FleetStore, _ differences: Sweep.Differences,
    answered: (HostID, Sweep.Answer) -> Void, recorded: () async throws -> Void = {}
  ) async throws -> [HostID: String] {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let enrolled = Set(try await store.enrolments().keys)
    let isRebuilt = try await store.isRebuilt()
    let departed = try await isRebuilt ? store.departed() : []
    // Silence says something only of hosts that there may be; a log that cannot be read leaves that open.
    let record = isRebuilt ? (try? workspace.audit.record()).map { HostRecord($0) } : nil
    let asked = hosts.filter { enrolled.contains($0.id) || isRebuilt && !departed.contains($0.id) }
      .map { (host: $0.id, fleet: workspace.configuration.fleet, endpoint: endpoints.endpoint(of: $0, as: .agent)) }
    let sweep = Sweep(connector: try workspace.connector(), limits: limits)
    let known = try await store.knownChanges()
    var reports: [ReceivedReport] = []
    var changes: [HeardChanges] = []
    var failures: [HostID: ContactFailure] = [:]
    var strangers: Set<HostID> = []
    await sweep.ask(asked, differences: differences, changes: known) { host, result in
      let now = workspace.clock.now()
      switch result {
      case .answered(let answer):
        reports.append(ReceivedReport(answer.report, receivedAt: now))
        if let (after, told) = answer.changes {
          changes.append(
            HeardChanges(host: host, at: now, ahead: answer.report.time - now, after: after, changes: told))
        }
        answered(host, answer)
      case .unreachable(let why):
        if enrolled.contains(host) || record?.mayBeEnrolled(host) ?? true {
          failures[host] = ContactFailure(at: now, reason: why)
        } else {
          strangers.insert(host)
        }
      }
    }
    // What was learnt is kept, also when the sweep was interrupted.
    if isRebuilt {
      let unknown = reports.filter { !enrolled.contains($0.report.host) }
      try await Relearning(workspace, sweep: sweep).learn(unknown, of: asked, store: store)
      // Whoever was interrupted has not heard that they are silent.
      if !Task.isCancelled { try await store.depart(strangers) }
      let settled = try await store.departed().union(try await store.enrolments().keys)
      if try workspace.inventory().hosts.allSatisfy({ settled.contains($0.id) }) { try await store.endRebuilding() }
    }
    // Who did something comes before what came of it.
    try await store.record(changes: changes)
    try await store.record(reports: reports)
    try await store.record(contactFailures: failures)
    try await recorded()
    try await workspace.configuration.retention.prune(store, at: workspace.clock.now())
    try Task.checkCancellation()
    return failures.mapValues(\.reason)
  }

  /// Every host judged by what is known, in inventory order.
  package func statuses(_ hosts: [InventoryHost], store: FleetStore?) async throws -> [HostStatus] {
    let observations = try await store?.observations() ?? [:]
    let desired = try await store?.desiredHosts() ?? [:]
    let withdrawn = Set(try await store?.withdrawn().keys.map(\.self) ?? [])
      .union(try await ForgottenWithdrawals.hosts(observations, store))
    let last = try await store?.lastSerial() ?? .none
    let now = workspace.clock.now()
    let awaiting = Dictionary(
      uniqueKeysWithValues: try await (store?.awaiting() ?? []).filter { $0.until > now }.map { ($0.host, $0) })
    let since = try await OrdersSince(store)
    let unstaged = try await unstaged(desired, observations, store)
    let judge = workspace.judge()
    return hosts.map { host in
      var status = judge.judge(
        host.id, desired: desired[host.id], observation: observations[host.id] ?? HostObservation())
      if let words = since.words(host) { status.reasons.insert(words, at: 0) }
      status.unstaged = unstaged.words(host.id)
      status.reasons += status.unstaged
      if withdrawn.contains(host.id) {
        status.reasons.append("is withdrawn: has none of our rules until 'portcullis apply -l HOST --reinstate'")
      }
      if let serial = status.serial, serial > last {
        status.reasons.append(
          "release \(serial) is newer than any that this controller knows of: another one made it, or the state folder is "
            + "an old backup")
      }
      // What the host itself says of it is newer.
      if let change = awaiting[host.id], status.pending == nil {
        status.reasons.append("release \(change.serial) waits for 'portcullis confirm' until \(change.until)")
      }
      return status
    }
  }

  private func unstaged(
    _ desired: [HostID: DesiredHost], _ observations: [HostID: HostObservation], _ store: FleetStore?
  ) async throws -> UnstagedProfiles {
    guard let store else { return UnstagedProfiles() }
    let enrolled = try await store.enrolments()
    return try await UnstagedProfiles(of: desired.filter { enrolled[$0.key] != nil }, observations, store)
  }
}
