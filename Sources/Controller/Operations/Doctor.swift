package import Audit
package import Core
package import Inventory
internal import Policy
package import Store
internal import Wire

/// Looks for what will hurt later: at the controller, and in what hosts last reported. Asks nobody and writes
/// nothing.
package struct Doctor: Sendable {
  package struct Host: Sendable {
    package let host: HostID
    package let findings: [Finding]

    package init(host: HostID, findings: [Finding]) {
      self.host = host
      self.findings = findings
    }
  }

  package struct Found: Sendable {
    package let controller: [Finding]
    /// In inventory order; hosts that are not enrolled are left out.
    package let hosts: [Host]

    package init(controller: [Finding], hosts: [Host]) {
      self.controller = controller
      self.hosts = hosts
    }
  }

  let workspace: Workspace

  package init(_ workspace: Workspace) { self.workspace = workspace }

  package func examine(_ hosts: [InventoryHost], store: FleetStore?) async throws -> Found {
    let enrolments = try await store?.enrolments() ?? [:]
    let observations = try await store?.observations() ?? [:]
    let statuses = try await Observation(workspace: workspace, limits: ContactLimits()).statuses(hosts, store: store)
    var controller = ControllerCheckup(workspace).findings()
    controller += clock(observations)
    var drafts: Drafts?
    do {
      drafts = try Drafts.compile(workspace, enrolments: enrolments, reported: ReportedFacts.of(observations))
    } catch let error as Diagnostics {
      controller.append(
        Finding(
          check: "files", problem: SafeText.escape(error.all[0].description), hint: "portcullis validate shows them all"
        ))
    }
    let found = statuses.filter { enrolments[$0.host] != nil }.map { status in
      var findings = Finding.of(
        status, otherBackendRules: observations[status.host]?.lastReport?.report.otherBackendRules ?? 0)
      if let draft = drafts?.byHost[status.host] {
        findings += Surroundings(draft, owners: status.owners).warnings.map {
          Finding(check: "owners", problem: $0, hint: "docs/policies.md, modes")
        }
      }
      return Host(host: status.host, findings: findings)
    }
    return Found(controller: controller, hosts: found)
  }

  /// A report from after now: our own clock went back since it came in.
  private func clock(_ observations: [HostID: HostObservation]) -> [Finding] {
    let now = workspace.clock.now()
    guard let latest = observations.values.compactMap({ $0.lastReport?.receivedAt }).max(), latest - now > 60 else {
      return []
    }
    return [
      Finding(
        check: "clock", problem: "this machine's clock says \(now), and a report came in at \(latest)",
        hint: "set the clock (timedatectl): releases are signed with it, and hosts refuse those from the future")
    ]
  }
}
