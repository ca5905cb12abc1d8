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
    let expected = try await expectations(of: hosts, store)
    let endpoints = Endpoints(inventory: inventory, configuration: workspace.configuration)
    var standings: [LockStanding] = []
    var unreachable: [HostID: String] = [:]
    var reports: [ReceivedReport] = []
    await Sweep(connector: try workspace.connector(), limits: limits).ask(
      hosts.map { ($0.id, workspace.configuration.fleet, endpoints.endpoint(of: $0, as: .agent)) },
      differences: .ignored
    ) { host, result in
      switch result {
      case .answered(let answer):
        reports.append(ReceivedReport(answer.report, receivedAt: workspace.clock.now()))
        standings.append(LockStanding(host, answer.report.lockdown, expected: expected[host] ?? .open))
      case .unreachable(let why): unreachable[host] = why
      }
    }
    // Asked for once, told everywhere.
    try await store?.record(reports: reports)
    return Looked(
      standings: standings.sorted { $0.host < $1.host }, unreachable: unreachable, armed: try await armed(store))
  }

  private func armed(_ store: FleetStore?) async throws -> [ArmedOrder] {
    let now = workspace.clock.now()
    return try await store?.orders(of: [.lockdown, .unlock]).filter { $0.state == .armed }.map {
      ArmedOrder(order: try SealedOrder($0), signatures: $0.signatures.count, threshold: $0.threshold)
    }.filter { now < $0.order.arriveBy } ?? []
  }

  /// The last order that was sent and is for a host says what is expected of it.
  private func expectations(
    of hosts: [InventoryHost], _ store: FleetStore?
  ) async throws -> [HostID: LockExpectation] {
    var expected: [HostID: LockExpectation] = [:]
    // Those that nobody could obey any more reach no further back than this.
    for stored in try await store?.orders(of: [.lockdown, .unlock]) ?? [] where stored.wasSent {
      let order = try SealedOrder(stored)
      let expectation: LockExpectation =
        switch order.deed {
        case .lift: .lifted(order.epoch)
        case .lock, .drill: .locked(order.epoch, order: order.digest)
        }
      for host in hosts where expected[host.id] == nil && order.isMeant(for: host) { expected[host.id] = expectation }
      if expected.count == hosts.count { break }
    }
    return expected
  }
}
