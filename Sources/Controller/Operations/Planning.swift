internal import Audit
package import Core
package import Inventory
internal import Policy
internal import Release
package import Rollout
package import Ruleset
package import Store
internal import Wire

/// Works out what `apply` would do, from files and memory. It writes nothing.
package struct Planning: Sendable {
  package struct Planned: Sendable {
    package let plan: RolloutPlan
    package let content: ReleaseContent
    /// The highest serial that a host or a release has and that can be believed: the next one lies above it.
    package let floor: Serial
    /// When it was read what hosts have and what was released. A release that was made since would be undone.
    package let lastSerial: Serial
    /// Why hosts that were asked first did not answer; nil when none was asked.
    package let unreachable: [HostID: String]?
    /// Of the hosts that a policy would change, in the plan's order.
    package let surroundings: [Surroundings]
    /// What hosts had committed that are to keep it: its content.
    package internal(set) var putBack: [HostID: Digest] = [:]
    /// Outside of those planned for, whom the same files would change too.
    package internal(set) var alsoChanging: [HostID] = []
    /// DNS names of the policies.
    package internal(set) var names: NameResolution?

    /// Where the rules that a group of hosts would get come from, when they come from policies.
    package func sources(of group: PlanGroup) -> (Family, DiffLine) -> SourceLocation? {
      guard let said = content.byHost[group.hosts[0]], let traces = said.traces else { return { _, _ in nil } }
      guard group.action == .repair else { return { traces[$0].source(line: $1.newLine) } }
      // What repairs a host is in its own words.
      let origins = said.origins
      return { family, line in line.kind == .added ? origins?.source(family, line) : nil }
    }
  }

  /// As `plan`, and looks beyond the hosts that were named: who else would change, and whether DNS names have moved.
  package func planWithOutlook(
    _ hosts: [InventoryHost], store: FleetStore?, refreshed: Observation.Refreshed? = nil,
    lookup: @escaping NameResolution.Lookup = NameResolution.ask
  ) async throws -> Planned {
    var planned = try await plan(hosts, store: store, refreshed: refreshed)
    let inventory = try workspace.inventory()
    let chosen = Set(hosts.map(\.id))
    let others = inventory.hosts.filter { !chosen.contains($0.id) }
    if !others.isEmpty {
      planned.alsoChanging = try await plan(others, store: store).plan.touched
        .filter { $0.action == .change || $0.action == .install }.map(\.host)
    }
    planned.names = await NameResolution.ask(try workspace.policies(), inventory, lookup: lookup)
    return planned
  }

  let workspace: Workspace

  package init(_ workspace: Workspace) { self.workspace = workspace }

  /// What is to become of the fleet.
  package enum Change: Sendable {
    /// What the policies say; a host that was withdrawn stays so unless it is named here.
    case policies(reinstating: Set<HostID> = [])
    /// The hosts planned for go back to what this release said of them, the others keep what they were released last.
    case earlier(Serial)
    /// The hosts planned for keep what they committed, the others what they were released last.
    case committed
    /// The hosts planned for give our rules up, the others keep what they were released last.
    case withdrawal
  }

  /// - Parameter store: nil before the first enrolment.
  /// - Parameter refreshed: what the hosts said, when they were just asked.
  package func plan(
    _ hosts: [InventoryHost], store: FleetStore?, change: Change = .policies(),
    refreshed: Observation.Refreshed? = nil
  ) async throws -> Planned {
    // First of all: what is released while the rest is read must be noticed.
    let last: Serial = if let refreshed { refreshed.lastSerial } else { try await store?.lastSerial() ?? .none }
    let observations = try await store?.observations() ?? [:]
    let (content, drafts) = try await self.content(after: change, hosts, observations, store)
    let floor = SerialFloor.floor(
      last: last, claims: observations.values.compactMap { $0.lastReport.flatMap { SerialFloor.claim(of: $0.report) } })
    let serialBase = max(floor, last)

    let running = try await runningTexts(hosts, observations, store)
    let released = try await store?.desiredHosts() ?? [:]
    let waiting = WaitingChanges(observations.values.compactMap(\.lastReport), now: workspace.clock.now())
    let inputs = hosts.map { host in
      let said = content.byHost[host.id]
      let newest = released[host.id].flatMap { $0.content == said?.content ? nil : $0.serial }
      return PlanInput(
        host: host.id,
        desired: said?.desired,
        knowledge: knowledge(
          of: host.id, said?.desired, content, observations[host.id], running[host.id], refreshed?.texts[host.id],
          unwanted: newest, waiting))
    }
    let plan = try RolloutPlanner(fleet: workspace.configuration.fleet, serialBase: serialBase).plan(inputs)
    let surroundings = plan.touched.compactMap { host in
      drafts?.byHost[host.host].map {
        Surroundings($0, owners: observations[host.host]?.lastReport?.report.owners ?? [])
      }
    }
    var planned = Planned(
      plan: plan, content: content, floor: floor, lastSerial: last, unreachable: refreshed?.unreachable,
      surroundings: surroundings)
    if case .committed = change {
      for host in plan.touched { planned.putBack[host.host] = content.byHost[host.host]?.content }
    }
    return planned
  }

  private func content(
    after change: Change, _ hosts: [InventoryHost], _ observations: [HostID: HostObservation], _ store: FleetStore?
  ) async throws -> (content: ReleaseContent, drafts: Drafts?) {
    let chosen = Set(hosts.map(\.id))
    switch change {
    case .policies(let reinstated):
      let drafts = try Drafts.compile(
        workspace, enrolments: try await store?.enrolments() ?? [:], reported: ReportedFacts.of(observations))
      var content = ReleaseContent(drafts)
      for (host, bundle) in try await store?.withdrawn() ?? [:]
      where content.byHost[host] != nil && !reinstated.contains(host) {
        content.byHost[host] = try .withdrawing(Manifest.parse(bundle.manifest))
      }
      let forgotten = try await ForgottenWithdrawals.hosts(observations, store)
      for host in forgotten.subtracting(reinstated) {
        // A policy that leaves everything open expects nothing either.
        guard let draft = drafts.byHost[host],
          draft.content != observations[host]?.lastReport?.report.committed?.content
        else { continue }
        content.byHost[host] = try .withdrawing(draft.manifest(fleet: drafts.fleet, serial: Serial(1)))
      }
      return (content, drafts)
    case .earlier(let serial): return (try await earlier(serial, chosen, store), nil)
    case .committed: return (try await committed(chosen, observations, store), nil)
    case .withdrawal:
      var content = try await released(doing: "withdraw hosts", store)
      for (host, bundle) in try await store?.bundles() ?? [:] where chosen.contains(host) && content.byHost[host] != nil
      {
        content.byHost[host] = try .withdrawing(Manifest.parse(bundle.manifest))
      }
      return (try content.requiring(chosen, doing: "withdraw hosts", because: "no release names it"), nil)
    }
  }

  private func earlier(_ serial: Serial, _ chosen: Set<HostID>, _ store: FleetStore?) async throws -> ReleaseContent {
    let operation = "go back to release \(serial)"
    guard let store, try await store.release(serial) != nil else {
      throw Failure(
        operation, because: Reason("there is no such release"), hint: "see 'portcullis release list'", kind: .usage)
    }
    var content = try await released(doing: operation, store)
    let then = try await store.bundles(upTo: serial).filter { chosen.contains($0.key) }
    let texts = try await texts(of: then, store)
    for host in chosen { content.byHost[host] = nil }
    for (host, bundle) in then where content.enrolled.contains(host) {
      content.byHost[host] = try ReleaseContent.Host(bundle, texts: texts)
    }
    return try content.requiring(
      chosen, doing: operation, because: "neither it nor a release before it names the host, or it is not kept")
  }

  private func committed(
    _ chosen: Set<HostID>, _ observations: [HostID: HostObservation], _ store: FleetStore?
  ) async throws -> ReleaseContent {
    let operation = "put back what was committed"
    var content = try await released(doing: operation, store)
    var bundles: [HostID: StoredBundle] = [:]
    for host in chosen {
      content.byHost[host] = nil
      guard let committed = observations[host]?.lastReport?.report.committed else { continue }
      bundles[host] = try await store?.bundle(for: host, content: committed.content)
    }
    guard let store else { return content }
    let texts = try await texts(of: bundles, store)
    for (host, bundle) in bundles where content.enrolled.contains(host) {
      content.byHost[host] = try ReleaseContent.Host(bundle, texts: texts)
    }
    return try content.requiring(
      chosen, doing: operation, because: "this controller does not have the release that was committed there")
  }

  /// What every enrolled host was released last.
  private func released(doing operation: String, _ store: FleetStore?) async throws -> ReleaseContent {
    guard let store else {
      throw Failure(operation, because: Reason("no release was ever made"), kind: .usage)
    }
    let enrolled = Set(try await store.enrolments().keys)
    let bundles = try await store.bundles().filter { enrolled.contains($0.key) }
    let texts = try await texts(of: bundles, store)
    return ReleaseContent(
      fleet: workspace.configuration.fleet,
      byHost: try bundles.mapValues { try ReleaseContent.Host($0, texts: texts) }, enrolled: enrolled)
  }

  private func texts(of bundles: [HostID: StoredBundle], _ store: FleetStore) async throws -> [Digest: RulesText] {
    return try await store.texts(Set(bundles.values.flatMap(\.texts))).mapValues(RulesText.init)
  }

  private func knowledge(
    of host: HostID, _ desired: DesiredBundle?, _ content: ReleaseContent, _ observation: HostObservation?,
    _ running: Running?,
    _ difference: PerFamily<Sweep.Sides?>?, unwanted: Serial?, _ waiting: WaitingChanges
  ) -> HostKnowledge {
    guard content.enrolled.contains(host) || content.uncovered.contains(host) else { return .notEnrolled }
    guard let report = observation?.lastReport?.report else { return .silent }
    // What a change that waits has loaded is no drift.
    let hasDrifted =
      report.degraded != nil
      || report.pending == nil
        && Family.allCases.contains { family in
          let facts = report.families[family]
          return facts.expected != nil && facts.expected != facts.observed
        }
    let isWaived = workspace.judge().judge(host, desired: nil, observation: observation ?? .init()).integrity == .waived
    var facts = HostFacts(
      committed: report.committed, running: running?.rules, beside: running?.beside ?? .empty,
      hasDrifted: hasDrifted, drift: hasDrifted ? drift(difference) : nil, isDegraded: report.degraded != nil,
      unwanted: unwanted)
    facts.waiting = waiting.words(of: report)
    if isWaived, report.degraded == nil { facts.waivedUntil = observation?.waiver?.lastDay }
    if report.committed == nil, let desired, let before = RulesBefore(report, difference, desired) {
      facts.hasThemAlready = before.areDesired
      // In owned mode they stay, beside all of ours.
      if desired.mode == "exclusive" { facts.running = before.rules }
    }
    return .reported(facts)
  }

  /// A family that was not asked for has no difference to show.
  private func drift(_ difference: PerFamily<Sweep.Sides?>?) -> PerFamily<HostFacts.Texts>? {
    guard let difference, difference.ipv4 != nil || difference.ipv6 != nil else { return nil }
    return difference.map { _, sides in
      HostFacts.Texts(
        observed: RulesText(sides?.observed ?? []), expected: RulesText(sides?.expected ?? []))
    }
  }

  /// The bundle that a host says it runs.
  private struct Running {
    let rules: PerFamily<RulesText>?
    let beside: BesideTexts
  }

  /// The texts of the bundle each host says it runs, each read once.
  private func runningTexts(
    _ hosts: [InventoryHost], _ observations: [HostID: HostObservation], _ store: FleetStore?
  ) async throws -> [HostID: Running] {
    guard let store else { return [:] }
    var bundles: [HostID: StoredBundle] = [:]
    for host in hosts {
      guard let committed = observations[host.id]?.lastReport?.report.committed,
        let bundle = try await store.bundle(for: host.id, content: committed.content)
      else { continue }
      bundles[host.id] = bundle
    }
    let named = bundles.values.flatMap { bundle in
      [bundle.rules?.ipv4, bundle.rules?.ipv6, bundle.sets, bundle.sysctl].compactMap { $0 }
        + bundle.profiles.flatMap { [$0.ipv4, $0.ipv6] }
    }
    let texts = try await store.texts(Set(named)).mapValues(RulesText.init)
    return try bundles.mapValues { bundle in
      let entries = bundle.profiles.isEmpty ? [] : try Manifest.parse(bundle.manifest).profiles
      let profiles = zip(entries, bundle.profiles).compactMap { entry, digests in
        digests.map { texts[$1] }.whole().map { ProfileTexts(name: entry.name, rank: entry.rank, rules: $0) }
      }
      return Running(
        rules: bundle.rules?.map { texts[$1] }.whole(),
        beside: BesideTexts(
          sets: bundle.sets.flatMap { texts[$0] }, sysctl: bundle.sysctl.flatMap { texts[$0] }, profiles: profiles))
    }
  }
}

extension ReleaseContent {
  /// A chosen host that could get nothing is an error: who named it expects something to happen to it.
  fileprivate func requiring(_ hosts: Set<HostID>, doing operation: String, because why: String) throws -> Self {
    let missing = hosts.filter { enrolled.contains($0) && byHost[$0] == nil }.sorted()
    guard missing.isEmpty else {
      throw Failure(
        operation, because: Reason("\(why): \(missing.map(\.description).joined(separator: ", "))"),
        hint: "leave them out", kind: .usage)
    }
    return self
  }
}
