internal import Audit
package import Core
package import Inventory
internal import Release
package import Store
internal import Synchronization
internal import Transport
internal import Wire

/// Enrols many hosts at once and remembers what was learnt of each.
package struct Enrolling: Sendable {
  package enum Result: Sendable {
    case enrolled(Enroller.Enrolled)
    case removed
    /// There was nothing of ours on it.
    case absent
    case failed(ErrorChain)
    case unreachable(ErrorChain)
  }

  package struct Host: Sendable {
    package let host: HostID
    package let result: Result
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package func enroll(_ hosts: [InventoryHost], store: FleetStore) async throws -> [Host] {
    let signersPath = workspace.configuration.keys.allowedSignersPath
    let signers = try Files.read(signersPath)
    // Better found out here than by every host on its own.
    let trusted = try AllowedSigners.parse(signers, file: signersPath)
    let keys = workspace.configuration.keys
    try keys.checkThresholds(trusted, at: workspace.clock.now())
    let loginKey = try LoginKey(path: workspace.configuration.login.identity).publicKey()
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let enroller = Enroller(connector: try workspace.connector(), timeout: limits.timeout)
    let executables = ExecutableCache(folder: workspace.configuration.agents ?? AgentExecutable.ownFolder)
    let results = await each(hosts) { host in
      .enrolled(
        try await enroller.enroll(
          .init(
            host: host.id, fleet: workspace.configuration.fleet,
            administrator: endpoints.endpoint(of: host, as: .administrator),
            login: endpoints.endpoint(of: host, as: .agent), allowedSigners: signers,
            thresholds: keys.thresholds.encode(), loginKeys: [loginKey]),
          executables: executables.executable))
    }
    try await record(results, store)
    return results
  }

  package func remove(
    _ hosts: [InventoryHost], rules: Enroller.RemovedRules, store: FleetStore
  ) async throws -> [Host] {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let enroller = Enroller(connector: try workspace.connector(), timeout: limits.timeout)
    let results = await each(hosts) { host in
      try await enroller.remove(endpoints.endpoint(of: host, as: .administrator), rules: rules) ? .removed : .absent
    }
    for host in results {
      switch host.result {
      case .removed, .absent: try await store.removeEnrolment(of: host.host, at: workspace.clock.now())
      case .enrolled, .failed, .unreachable: break
      }
    }
    return results
  }

  private func each(
    _ hosts: [InventoryHost], _ work: @escaping @Sendable (InventoryHost) async throws -> Result
  ) async -> [Host] {
    var results: [Host] = []
    await FanOut.each(hosts, parallel: limits.parallel) { host in
      do {
        return try await work(host)
      } catch let error as TransportError where error.kind == .unreachable || error.kind == .deadline {
        return .unreachable(ErrorChain(error))
      } catch {
        return .failed(ErrorChain(error))
      }
    } finished: { host, result in
      results.append(Host(host: host.id, result: result))
    }
    return results.sorted { $0.host < $1.host }
  }

  private func record(_ results: [Host], _ store: FleetStore) async throws {
    let now = workspace.clock.now()
    var reports: [ReceivedReport] = []
    for host in results {
      guard case .enrolled(let enrolled) = host.result else { continue }
      try await store.save(
        Store.Enrolment(
          host: host.host, at: now, agent: enrolled.agent, agentVersion: enrolled.report.agentVersion,
          architecture: enrolled.architecture, backend: enrolled.report.backend, hasGenerationZero: true,
          controllers: enrolled.managementSources.compactMap { Inventory.NumericAddress($0)?.description }))
      reports.append(ReceivedReport(enrolled.report, receivedAt: now))
    }
    try await store.record(reports: reports, after: .enrolled)
  }
}

/// Each architecture's executable is read once, however many hosts have it.
private final class ExecutableCache: Sendable {
  private let folder: String
  private let known = Mutex<[String: AgentExecutable]>([:])

  init(folder: String) { self.folder = folder }

  func executable(_ architecture: String) throws -> AgentExecutable {
    try known.withLock { known in
      if let executable = known[architecture] { return executable }
      let executable = try AgentExecutable.load(architecture: architecture, folder: folder)
      known[architecture] = executable
      return executable
    }
  }
}
