package import Core
package import Inventory
package import Store
package import Transport
package import Wire

/// Asks hosts whose policies only observe what they would have dropped.
package struct Observing: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let observations: Observations
  }

  package struct Observed: Sendable {
    /// By name.
    package let hosts: [Host]
    /// In words for an operator, by host.
    package let unreachable: [HostID: String]
    /// Asked for, and not enrolled.
    package let notEnrolled: [HostID]
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package static let noneEnrolled = Failure.noneEnrolled("ask what would have been dropped")

  package func ask(_ hosts: [InventoryHost], store: FleetStore) async throws -> Observed {
    let enrolled = Set(try await store.enrolments().keys)
    guard hosts.contains(where: { enrolled.contains($0.id) }) else {
      throw Self.noneEnrolled
    }
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let asked = hosts.filter { enrolled.contains($0.id) }
      .map { (host: $0.id, fleet: workspace.configuration.fleet, endpoint: endpoints.endpoint(of: $0, as: .agent)) }
    let (answered, unreachable) = await Self.ask(asked, over: try workspace.connector(), limits)
    try Task.checkCancellation()
    return Observed(
      hosts: answered, unreachable: unreachable, notEnrolled: hosts.map(\.id).filter { !enrolled.contains($0) })
  }

  /// The same of any agents.
  package static func ask(
    _ hosts: [(host: HostID, fleet: FleetID, endpoint: HostEndpoint)], over connector: any HostConnector,
    _ limits: ContactLimits
  ) async -> (answered: [Host], unreachable: [HostID: String]) {
    let asked = hosts.map {
      Question(host: $0.host, fleet: $0.fleet, endpoint: $0.endpoint, connector: connector, timeout: limits.timeout)
    }
    var answered: [Host] = []
    var unreachable: [HostID: String] = [:]
    await FanOut.each(asked, parallel: limits.parallel) { question in
      await question.answer()
    } finished: { question, result in
      switch result {
      case .success(let observations): answered.append(Host(host: question.host, observations: observations))
      case .failure(let why): unreachable[question.host] = why.description
      }
    }
    return (answered.sorted { $0.host < $1.host }, unreachable)
  }
}

/// One host to be asked, with all that takes.
private struct Question: Sendable {
  let host: HostID
  let fleet: FleetID
  let endpoint: HostEndpoint
  let connector: any HostConnector
  let timeout: Duration

  func answer() async -> Result<Observations, Reason> {
    do {
      var link = try await AgentLink.open(
        endpoint, over: connector, deadline: ContinuousClock.now.advanced(by: timeout))
      do {
        let observations = try await converse(&link)
        await link.close()
        return .success(observations)
      } catch {
        await link.close()
        throw error
      }
    } catch {
      return .failure(Reason(ErrorChain(error).line))
    }
  }

  private func converse(_ link: inout AgentLink) async throws -> Observations {
    try await link.askObservations()
    try await link.sayGoodbye()
    while true {
      switch try await link.next() {
      case .hello(let hello):
        guard hello.host == host, hello.fleet == fleet else {
          throw Reason("the host that answered is \(hello.host) of fleet \(hello.fleet)")
        }
      case .observations(let observations): return observations
      case .refused(_, let refusal): throw Reason("it refused: \(SafeText.escape(refusal.detail))")
      case .staged, .applied, .outcome, .done, .text, .report, .changes, .obeyed:
        throw Reason("it answered another question")
      }
    }
  }
}
