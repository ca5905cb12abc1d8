package import Audit
package import Core
package import Inventory
internal import Rollout
package import Store
internal import Transport
internal import Wire

/// Asks hosts how they stand as to lockdowns, and compares that with the orders that were sent.
package struct LockdownStanding: Sendable {
  package struct Looked: Sendable {
    /// By name.
    package let standings: [LockStanding]
    /// Who did not answer, and why.
    package let unreachable: [HostID: String]
    /// Orders that wait to be signed by others, or sent, and may still arrive.
    package let armed: [ArmedOrder]
    /// What hosts said could not be written down.
    package var recordingFailure: (any Error)?
  }

  /// What is expected of a host, and how it refused just that.
  struct Ordered {
    var expectation: LockExpectation
    var refusal: String?
  }

  /// What this controller sent.
  struct Orders {
    var byHost: [HostID: Ordered] = [:]
    var sent: Set<Epoch> = []
  }

  package struct ArmedOrder: Sendable {
    package let order: SealedOrder
    package let signatures: Int
    package let threshold: Int
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package func look(
    _ hosts: [InventoryHost], of inventory: HostInventory, store: FleetStore?
  ) async throws -> Looked {
    let endpoints = Endpoints(inventory: inventory, configuration: workspace.configuration)
    return try await look(
      hosts.map { ($0.id, workspace.configuration.fleet, endpoints.endpoint(of: $0, as: .agent)) },
      over: try workspace.connector(), ordered: try await ordered(hosts, store), armed: try await armed(store),
      store
    ) { try await store?.record(reports: $0) }
  }

  /// - Parameter keep: asked for once, told everywhere. Where it fails, what hosts said is shown all the same.
  func look(
    _ asked: [(host: HostID, fleet: FleetID, endpoint: HostEndpoint)], over connector: any HostConnector,
    ordered: Orders, armed: [ArmedOrder], _ store: FleetStore?,
    keep: ([ReceivedReport]) async throws -> Void
  ) async throws -> Looked {
    let desired = try await store?.desiredHosts() ?? [:]
    var observations: [HostID: HostObservation] = [:]
    var unreachable: [HostID: String] = [:]
    await Sweep(connector: connector, limits: limits).ask(asked, differences: .ignored) { host, result in
      switch result {
      case .answered(let answer):
        observations[host] = HostObservation(
          lastReport: ReceivedReport(answer.report, receivedAt: workspace.clock.now()))
      case .unreachable(let why): unreachable[host] = why
      }
    }
    var failure: (any Error)?
    var unstaged = UnstagedProfiles()
    do {
      if let store {
        unstaged = try await UnstagedProfiles(
          of: desired.filter { observations[$0.key] != nil }, observations, store)
      }
      try await keep(observations.values.compactMap(\.lastReport))
    } catch { failure = error }
    let standings = observations.map { host, observation in
      let order = ordered.byHost[host]
      return LockStanding(
        host, observation.lastReport?.report.lockdown, expected: order?.expectation ?? .open, sent: ordered.sent,
        refusal: order?.refusal, missing: unstaged.profiles(host))
    }
    return Looked(
      standings: standings.sorted { $0.host < $1.host }, unreachable: unreachable, armed: armed,
      recordingFailure: failure)
  }

  private func armed(_ store: FleetStore?) async throws -> [ArmedOrder] {
    let now = workspace.clock.now()
    return try await store?.orders(of: [.lockdown, .unlock]).filter { $0.state == .armed }.map {
      ArmedOrder(order: try SealedOrder($0), signatures: $0.signatures.count, threshold: $0.threshold)
    }.filter { now < $0.order.arriveBy } ?? []
  }

  /// The last order that was sent and is for a host says what is expected of it.
  func ordered(_ hosts: [InventoryHost], _ store: FleetStore?) async throws -> Orders {
    let sent = try await store?.sentOrders() ?? []
    var ordered: [HostID: Ordered] = [:]
    for stored in sent where ordered.count < hosts.count {
      let order = try SealedOrder(stored)
      let expectation: LockExpectation =
        switch order.deed {
        case .lift: .lifted(order.epoch)
        case .lock, .drill: .locked(order.epoch, order: order.digest)
        }
      let meant = hosts.filter { ordered[$0.id] == nil && order.isMeant(for: $0) }.map(\.id)
      guard !meant.isEmpty else { continue }
      let refusals = try await refusals(of: order.epoch, store)
      for host in meant { ordered[host] = Ordered(expectation: expectation, refusal: refusals[host]) }
    }
    return Orders(byHost: ordered, sent: Set(sent.map(\.epoch)))
  }

  private func refusals(of epoch: Epoch, _ store: FleetStore?) async throws -> [HostID: String] {
    var refusals: [HostID: String] = [:]
    for outcome in try await store?.outcomes(of: epoch) ?? [] {
      if case .refused(let code, let words) = outcome.kind {
        refusals[outcome.host] = words.isEmpty ? code : "\(code): \(words)"
      }
    }
    return refusals
  }
}
