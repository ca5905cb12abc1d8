package import Audit
package import Core
package import Inventory
internal import Policy
package import Rollout
package import Store
internal import Wire

/// Works out which hosts are to get back what they committed: those that drifted, just asked.
package struct DriftRepair: Sendable {
  package struct Found: Sendable {
    /// Nil when there is nothing to put back.
    package let planned: Planning.Planned?
    /// Somebody answers for what differs there, so it stays.
    package let waived: [HostID]
    package let unreachable: [HostID]
    /// What they committed is not what the last release said of them.
    package let behind: [HostID]
    /// This controller has nothing to put back there, as after its store was begun anew.
    package var missing: [HostID] = []
    /// A change waits there to be confirmed, and is no drift.
    package var waiting: [HostID] = []
    /// Root ordered other rules at the console, and no timer takes them away.
    package var atConsole: [HostID] = []
    /// Their policies say nothing of repairing, and nobody else does.
    package var reportedOnly: [HostID] = []
    /// Repaired so lately that they wait.
    package var resting: [HostID] = []
    /// Repaired so often that something must be changing them back.
    package var givenUp: [HostID] = []
  }

  package static let verb = "drift repair"

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// - Parameter asPoliciesSay: only hosts whose policies say so, and those not again and again.
  package func find(_ hosts: [InventoryHost], asPoliciesSay: Bool = false, store: FleetStore) async throws -> Found {
    let lastSerial = try await store.lastSerial()
    let hunted = try await DriftHunt(workspace, limits: limits).hunt(hosts, store: store)
    let reached = hunted.statuses.filter { $0.contact != .unreachable }
    let drifted = reached.filter { $0.integrity == .drifted }
    let waiting = reached.filter { $0.pending != nil }.map(\.host)
    let atConsole = asPoliciesSay ? drifted.filter { $0.localAct != nil }.map(\.host) : []
    let left = Set(drifted.map(\.host)).subtracting(atConsole)
    var chosen = hosts.filter { left.contains($0.id) }
    var leftAlone = LeftAlone()
    if asPoliciesSay { chosen = try await willing(chosen, store, &leftAlone) }
    let kept = try await keptBundles(of: chosen, store)
    let missing = chosen.map(\.id).filter { !kept.contains($0) }
    chosen.removeAll { !kept.contains($0.id) }
    var planned: Planning.Planned?
    if !chosen.isEmpty {
      // The plan shows the difference in the hosts' own words.
      var refreshed = try await Observation(workspace: workspace, limits: limits).refreshWithTexts(chosen, store: store)
      // A host that did not answer again is planned for by what it said first.
      refreshed.lastSerial = lastSerial
      planned = try await Planning(workspace).plan(chosen, store: store, change: .committed, refreshed: refreshed)
    }
    let released = try await store.desiredHosts()
    return Found(
      planned: planned, waived: reached.filter { $0.integrity == .waived }.map(\.host),
      unreachable: hunted.statuses.filter { $0.contact == .unreachable }.map(\.host),
      behind: chosen.map(\.id).filter { host in
        planned?.content.byHost[host].map { $0.content != released[host]?.content } ?? false
      }, missing: missing, waiting: waiting, atConsole: atConsole, reportedOnly: leftAlone.reportedOnly,
      resting: leftAlone.resting, givenUp: leftAlone.givenUp)
  }

  /// Asks those that took what they had committed whether they hold it now: a repair puts our own back, and takes
  /// nothing away from others.
  package func lookAfter(_ applied: Applying.Applied, store: FleetStore) async throws -> Outcome {
    let repaired = Set(
      applied.hosts.filter { if case .current = $0.result { true } else { false } }.map(\.host))
    let hosts = try workspace.inventory().hosts.filter { repaired.contains($0.id) }
    guard !hosts.isEmpty else { return Outcome(differing: [], silent: []) }
    return Outcome(try await DriftHunt(workspace, limits: limits).hunt(hosts, store: store))
  }

  package struct Outcome: Sendable {
    package struct Host: Hashable, Sendable {
      package let host: HostID
      /// Which still differ; none where nobody could tell.
      package let sides: [DriftSide]
    }

    /// What was put back is not all that differs there.
    package let differing: [Host]
    /// They did not answer any more.
    package let silent: [HostID]

    package init(differing: [Host], silent: [HostID]) {
      self.differing = differing
      self.silent = silent
    }

    init(_ found: DriftHunt.Found) {
      let drifts = Dictionary(uniqueKeysWithValues: found.drifts.map { ($0.host, $0) })
      silent = found.statuses.filter { $0.contact == .unreachable }.map(\.host)
      differing = found.statuses.filter { $0.contact != .unreachable && $0.integrity == .drifted }.map { status in
        guard case .differs(let diffs)? = drifts[status.host]?.finding else {
          return Host(host: status.host, sides: [])
        }
        return Host(host: status.host, sides: DriftSide.all(diffs))
      }
    }

    package var exitCode: ExitCode { !silent.isEmpty ? .someUnreachable : differing.isEmpty ? .done : .finding }
  }

  private func keptBundles(of hosts: [InventoryHost], _ store: FleetStore) async throws -> Set<HostID> {
    Set(try await store.committedBundles(of: hosts.map(\.id)).keys)
  }

  private struct LeftAlone {
    var reportedOnly: [HostID] = []
    var resting: [HostID] = []
    var givenUp: [HostID] = []
  }

  private func willing(
    _ hosts: [InventoryHost], _ store: FleetStore, _ leftAlone: inout LeftAlone
  ) async throws -> [InventoryHost] {
    guard !hosts.isEmpty else { return [] }
    let drafts = try Drafts.compile(
      workspace, enrolments: try await store.enrolments(), reported: try await store.reportedFacts())
    let now = workspace.clock.now()
    let earlier = try await store.timesTried(by: Self.verb, since: now + -RepairPatience.window)
    var willing: [InventoryHost] = []
    var alarms: [HostID: (repairs: Int, last: UTCTime)] = [:]
    for host in hosts {
      guard drafts.byHost[host.id]?.compiled.onDrift == .repair else {
        leftAlone.reportedOnly.append(host.id)
        continue
      }
      switch RepairPatience.judge(earlier[host.id] ?? [], now: now) {
      case .now: willing.append(host)
      case .notBefore: leftAlone.resting.append(host.id)
      case .given(let repairs):
        leftAlone.givenUp.append(host.id)
        if let last = earlier[host.id]?.max() { alarms[host.id] = (repairs, last) }
      }
    }
    // A timer that says it on standard error may be heard by nobody.
    try await store.alarm(of: alarms, at: now)
    return willing
  }
}
