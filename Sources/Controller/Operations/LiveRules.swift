package import Core
package import Inventory
internal import Transport

/// What is loaded on hosts that nobody manages yet: their own save programs asked over an administrator's login.
package struct LiveRules: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let saved: Result<PerFamily<[UInt8]>, Reason>
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package func read(_ hosts: [InventoryHost]) async throws -> [Host] {
    let endpoints = Endpoints(inventory: try workspace.inventory(), configuration: workspace.configuration)
    let connector = try workspace.connector()
    let questions = hosts.map { host in
      Question(
        host: host.id, endpoint: endpoints.endpoint(of: host, as: .administrator), connector: connector,
        timeout: limits.timeout)
    }
    var answered: [Host] = []
    await FanOut.each(questions, parallel: limits.parallel) { question in
      await question.answer()
    } finished: { question, saved in
      answered.append(Host(host: question.host, saved: saved))
    }
    try Task.checkCancellation()
    return answered.sorted { $0.host < $1.host }
  }
}

private struct Question: Sendable {
  let host: HostID
  let endpoint: HostEndpoint
  let connector: any HostConnector
  let timeout: Duration

  func answer() async -> Result<PerFamily<[UInt8]>, Reason> {
    do {
      let deadline = ContinuousClock.now.advanced(by: timeout)
      let saved = try await Enroller(connector: connector, timeout: timeout)
        .onHost(endpoint, until: deadline) { shell in
          var saved = PerFamily<[UInt8]>(ipv4: [], ipv6: [])
          for family in Family.allCases {
            let program = family == .ipv4 ? "iptables-save" : "ip6tables-save"
            let finished = try await shell.succeed(program, privileged: true, doing: "read the \(family) rules")
            saved[family] = finished.output
          }
          return saved
        }
      return .success(saved)
    } catch {
      return .failure(Reason(ErrorChain(error).line))
    }
  }
}
