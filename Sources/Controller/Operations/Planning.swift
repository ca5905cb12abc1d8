internal import Audit
package import Core
package import Inventory
internal import Release
package import Rollout
package import Store
internal import Wire

/// Works out what `apply` would do, from files and memory. It writes nothing.
package struct Planning: Sendable {
  package struct Planned: Sendable {
    package let plan: RolloutPlan
    package let drafts: Drafts
    /// The highest serial that a host or a release has and that can be believed: the next one lies above it.
    package let floor: Serial
    /// Of the hosts that would be touched, in the plan's order.
    package let surroundings: [Surroundings]
  }

  let workspace: Workspace

  package init(_ workspace: Workspace) { self.workspace = workspace }

  /// - Parameter store: nil before the first enrolment.
  /// - Parameter differences: what drifted hosts were just asked for.
  package func plan(
    _ hosts: [InventoryHost], store: FleetStore?, differences: [HostID: PerFamily<Sweep.Sides?>] = [:]
  ) async throws -> Planned {
    let drafts = try Drafts.compile(workspace, enrolments: try await store?.enrolments() ?? [:])
    let observations = try await store?.observations() ?? [:]
    let last = try await store?.lastSerial() ?? .none
    let floor = SerialFloor.floor(
      last: last, claims: observations.values.compactMap { $0.lastReport?.report.committed?.serial })
    let serialBase = max(floor, last)

    let running = try await runningTexts(hosts, observations, store)
    let released = try await store?.desiredHosts() ?? [:]
    let inputs = hosts.map { host in
      let draft = drafts.byHost[host.id]
      let newest = released[host.id].flatMap { $0.content == draft?.content ? nil : $0.serial }
      return PlanInput(
        host: host.id,
        desired: draft.map { DesiredBundle(content: $0.content, mode: $0.mode.rawValue, rules: $0.rules) },
        knowledge: knowledge(
          of: host.id, drafts, observations[host.id], running[host.id], differences[host.id], unwanted: newest))
    }
    let plan = try RolloutPlanner(fleet: workspace.configuration.fleet, serialBase: serialBase).plan(inputs)
    let surroundings = plan.touched.compactMap { host in
      drafts.byHost[host.host].map {
        Surroundings($0, owners: observations[host.host]?.lastReport?.report.owners ?? [])
      }
    }
    return Planned(plan: plan, drafts: drafts, floor: floor, surroundings: surroundings)
  }

  private func knowledge(
    of host: HostID, _ drafts: Drafts, _ observation: HostObservation?, _ running: PerFamily<RulesText>?,
    _ difference: PerFamily<Sweep.Sides?>?, unwanted: Serial?
  ) -> HostKnowledge {
    guard drafts.enrolled.contains(host) || drafts.uncovered.contains(host) else { return .notEnrolled }
    guard let report = observation?.lastReport?.report else { return .silent }
    let hasDrifted =
      report.degraded
      || Family.allCases.contains { family in
        let facts = report.families[family]
        return facts.expected != nil && facts.expected != facts.observed
      }
    return .reported(
      HostFacts(
        committed: report.committed, running: running, hasDrifted: hasDrifted,
        drift: hasDrifted ? drift(difference) : nil, unwanted: unwanted))
  }

  /// A family that was not asked for has no difference to show.
  private func drift(_ difference: PerFamily<Sweep.Sides?>?) -> PerFamily<HostFacts.Texts>? {
    guard let difference, difference.ipv4 != nil || difference.ipv6 != nil else { return nil }
    return difference.map { _, sides in
      HostFacts.Texts(
        observed: RulesText(sides?.observed ?? []), expected: RulesText(sides?.expected ?? []))
    }
  }

  /// The rules of the bundle each host says it runs, each text read once.
  private func runningTexts(
    _ hosts: [InventoryHost], _ observations: [HostID: HostObservation], _ store: FleetStore?
  ) async throws -> [HostID: PerFamily<RulesText>] {
    guard let store else { return [:] }
    var digests: [HostID: PerFamily<Digest>] = [:]
    for host in hosts {
      guard let committed = observations[host.id]?.lastReport?.report.committed,
        let bundle = try await store.bundle(for: host.id, content: committed.content)
      else { continue }
      digests[host.id] = bundle.rules
    }
    let texts = try await store.texts(Set(digests.values.flatMap { [$0.ipv4, $0.ipv6] })).mapValues(RulesText.init)
    return digests.compactMapValues { rules in
      guard let ipv4 = texts[rules.ipv4], let ipv6 = texts[rules.ipv6] else { return nil }
      return PerFamily(ipv4: ipv4, ipv6: ipv6)
    }
  }
}
