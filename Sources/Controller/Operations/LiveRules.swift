package import Core
package import Inventory
internal import Ruleset
internal import Transport

/// What is loaded on hosts that nobody manages yet: their own save programs asked over an administrator's login.
package struct LiveRules: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let saved: Result<Saved, Reason>
  }

  package struct Saved: Sendable {
    package var texts = PerFamily<[UInt8]>(ipv4: [], ipv6: [])
    /// What was not read, in words for whoever imports.
    package var warnings: [String] = []
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

  func answer() async -> Result<LiveRules.Saved, Reason> {
    do {
      let deadline = ContinuousClock.now.advanced(by: timeout)
      let saved = try await Enroller(connector: connector, timeout: timeout)
        .onHost(endpoint, until: deadline) { shell in
          var saved = LiveRules.Saved()
          for family in Family.allCases {
            let program = family == .ipv4 ? "iptables-save" : "ip6tables-save"
            let finished = try await shell.succeed(program, privileged: true, doing: "read the \(family) rules")
            saved.texts[family] = finished.output
            if let warning = try await otherBackend(family, shell) { saved.warnings.append(warning) }
          }
          return saved
        }
      return .success(saved)
    } catch {
      return .failure(Reason(ErrorChain(error).line))
    }
  }

  /// The kernel filters by the rules of both backends, and each one's programs print only their own.
  private func otherBackend(_ family: Family, _ shell: RemoteShell) async throws -> String? {
    let program = family == .ipv4 ? "iptables" : "ip6tables"
    let version = try await shell.run("\(program) -V", privileged: false)
    let words = String(decoding: version.output, as: UTF8.self)
    guard version.status == 0, words.contains("(nf_tables)") || words.contains("(legacy)") else { return nil }
    let (read, other) = words.contains("(legacy)") ? ("legacy", "nft") : ("nft", "legacy")
    let saved = try await shell.run("\(program)-\(other)-save", privileged: true)
    // A host may not have the other backend's programs.
    guard saved.status == 0 else { return nil }
    let rules = saved.output.split(separator: UInt8(ascii: "\n")).count { $0.starts(with: "-A ".utf8) }
    guard rules > 0 else { return nil }
    return "the \(read) rules over \(family.words) were read; \(program)-\(other) holds "
      + "\(rules == 1 ? "1 rule" : "\(rules) rules") more, which the kernel obeys too"
  }
}
