package import Audit
package import Core
package import Inventory
package import Policy
package import Store

/// Works out which waivers mark what differs on hosts at this moment as known.
package struct Waiving: Sendable {
  package struct Waived: Sendable {
    package let waivers: [Waiver]
    /// Hosts that may differ and got none, and why, in words for an operator.
    package let leftOut: [HostID: String]
    /// Nothing differs there.
    package let intact: [HostID]
    package let unreachable: [HostID]
    /// What is to be waived, for whoever has to approve it.
    package var drifts: [HostDrift] = []
    package var statuses: [HostStatus] = []

    /// Hosts with an identical difference stand together, whether or not it was waived before.
    package var groups: [DriftGroup] {
      DriftGroup.fold(
        drifts.map { drift in
          var drift = drift
          drift.waiver = nil
          return drift
        })
    }
  }

  /// As the audit log has them.
  package static let verb = "drift waive"
  package static let end = "drift waive --end"

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// Nothing is kept yet.
  /// - Throws: for a day that is over.
  package func find(
    _ hosts: [InventoryHost], until day: LastDay, reason: String, store: FleetStore
  ) async throws -> Waived {
    let now = workspace.clock.now()
    guard !day.isOver(at: now), let start = UTCTime("\(day.text)T00:00:00Z") else {
      throw Failure(
        "waive what differs", because: Reason("\(day.text) is over"), hint: "name the last day it shall be waived on",
        kind: .usage)
    }
    let found = try await DriftHunt(workspace, limits: limits).hunt(hosts, store: store)
    let known = try await store.differences(of: found.drifts.map(\.host)).mapValues(\.exact)
    return Self.sort(found, known: known, enrolled: Set(try await store.enrolments().keys)) { drift, exact in
      Waiver(
        host: drift.host, difference: exact, words: drift.summary, ends: start + 86_400, reason: reason,
        actor: Actor.name, made: now)
    }
  }

  /// - Parameter known: the differences that the store remembers.
  static func sort(
    _ found: DriftHunt.Found, known: [HostID: Digest], enrolled: Set<HostID>, make: (HostDrift, Digest) -> Waiver
  ) -> Waived {
    let drifts = Dictionary(uniqueKeysWithValues: found.drifts.map { ($0.host, $0) })
    var waivers: [Waiver] = []
    var leftOut: [HostID: String] = [:]
    var intact: [HostID] = []
    for status in found.statuses where status.contact != .unreachable {
      guard enrolled.contains(status.host) else {
        leftOut[status.host] = "not enrolled, so that nobody asked"
        continue
      }
      guard !status.modifiers.contains(.degraded) else {
        leftOut[status.host] = Self.degraded
        continue
      }
      if let pending = status.pending {
        leftOut[status.host] = "release \(pending.serial) waits there to be confirmed, which is no drift"
        continue
      }
      guard status.integrity == .drifted || status.integrity == .waived else {
        intact.append(status.host)
        continue
      }
      guard let drift = drifts[status.host], let exact = drift.exact else {
        leftOut[status.host] = "what differs could not be compared, or was changed back"
        continue
      }
      // Without it no report could tell that a difference is this one.
      guard known[status.host] == exact else {
        leftOut[status.host] = "it changed while it was looked at, or what differs is too long"
        continue
      }
      waivers.append(make(drift, exact))
    }
    let chosen = Set(waivers.map(\.host))
    return Waived(
      waivers: waivers, leftOut: leftOut, intact: intact,
      unreachable: found.statuses.filter { $0.contact == .unreachable }.map(\.host),
      drifts: found.drifts.filter { chosen.contains($0.host) },
      statuses: found.statuses.filter { chosen.contains($0.host) })
  }

  /// All of its own rules are gone: that is nothing to live with or to learn from.
  static let degraded = "runs the safe policy: 'portcullis drift repair' puts back what was committed"
}
