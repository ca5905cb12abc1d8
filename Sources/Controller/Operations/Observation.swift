package import Audit
package import Core
package import Inventory
package import Store

/// What is known of hosts, after asking them or from memory.
package struct Observation: Sendable {
  package let workspace: Workspace
  package let limits: ContactLimits

  package init(workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// Asks the hosts, and records every answer and every silence before it returns.
  /// - Returns: the texts of both sides of each host that differs, if `differences` were asked for.
  package func refresh(
    _ hosts: [InventoryHost], store: FleetStore, differences: Bool = false
  ) async throws -> [HostID: PerFamily<Sweep.Sides?>] {
    var texts: [HostID: PerFamily<Sweep.Sides?>] = [:]
    try await refresh(hosts, store: store, differences: differences) { host, sides in texts[host] = sides }
    return texts
  }

  /// Hands the texts over as they come, so that whoever needs less of them need not hold them all.
  func refresh(
    _ hosts: [InventoryHost], store: FleetStore, differences: Bool,
    compare: (HostID, PerFamily<Sweep.Sides?>) -> Void
  ) async throws {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let enrolled = Set(try await store.enrolments().keys)
    let asked = hosts.filter { enrolled.contains($0.id) }
      .map { (host: $0.id, fleet: workspace.configuration.fleet, endpoint: endpoints.endpoint(of: $0, as: .agent)) }
    let sweep = Sweep(connector: try workspace.connector(), limits: limits)
    var reports: [ReceivedReport] = []
    var failures: [HostID: ContactFailure] = [:]
    await sweep.ask(asked, differences: differences) { host, result in
      let now = workspace.clock.now()
      switch result {
      case .answered(let answer):
        reports.append(ReceivedReport(answer.report, receivedAt: now))
        compare(host, answer.texts)
      case .unreachable(let why): failures[host] = ContactFailure(at: now, reason: why)
      }
    }
    // What was learnt is kept, also when the sweep was interrupted.
    try await store.record(reports: reports)
    try await store.record(contactFailures: failures)
    try await Retention.prune(store, at: workspace.clock.now())
    try Task.checkCancellation()
  }

  /// Every host judged by what is known, in inventory order.
  package func statuses(_ hosts: [InventoryHost], store: FleetStore?) async throws -> [HostStatus] {
    let observations = try await store?.observations() ?? [:]
    let desired = try await store?.desiredHosts() ?? [:]
    let judge = workspace.judge()
    return hosts.map { host in
      judge.judge(host.id, desired: desired[host.id], observation: observations[host.id] ?? HostObservation())
    }
  }
}
