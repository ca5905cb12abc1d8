internal import Audit
internal import Core
internal import Inventory
internal import Store
internal import Transport
internal import Wire

/// Takes hosts into a store that was begun in place of a damaged one: their agents are there, and trust this fleet.
struct Relearning {
  let workspace: Workspace
  let sweep: Sweep

  init(_ workspace: Workspace, sweep: Sweep) {
    self.workspace = workspace
    self.sweep = sweep
  }

  /// - Parameter reports: of hosts that the store does not know.
  func learn(
    _ reports: [ReceivedReport], of asked: [(host: HostID, fleet: FleetID, endpoint: HostEndpoint)], store: FleetStore
  ) async throws {
    let endpoints = Dictionary(uniqueKeysWithValues: asked.map { ($0.host, $0.endpoint) })
    for received in reports {
      let report = received.report
      guard let endpoint = endpoints[report.host] else { continue }
      let ways = await ways(to: endpoint, first: report.managementSource, report.host)
      // What was uploaded at the enrolment that is forgotten, nobody knows.
      try await store.save(
        Store.Enrolment(
          host: report.host, at: received.receivedAt, agent: Digest(of: []), agentVersion: report.agentVersion,
          architecture: report.architecture, backend: report.backend, hasGenerationZero: true,
          controllers: ways.compactMap { Inventory.NumericAddress($0)?.description }))
    }
  }

  /// Rules that admit only where we come from by one address would shut the others.
  private func ways(to endpoint: HostEndpoint, first: String, _ host: HostID) async -> [String] {
    guard endpoint.addresses.count > 1 else { return first.isEmpty ? [] : [first] }
    return await ManagementWays.learn(first: first, over: endpoint.addresses) { address in
      var one = endpoint
      one.addresses = [address]
      var result: Sweep.Result?
      await sweep.ask([(host, workspace.configuration.fleet, one)], differences: .ignored) { result = $1 }
      guard case .answered(let answer) = result else { throw Reason("it did not answer") }
      return answer.report.managementSource
    }.sources
  }
}
