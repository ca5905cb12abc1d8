package import Core
package import Wire

/// What `apply` would do to a host.
package enum PlanAction: String, Hashable, Sendable, CaseIterable {
  /// It runs what it should.
  case unchanged
  /// The first bundle it gets.
  case install
  /// Another bundle than it runs.
  case change
  /// The same bundle again, because the kernel no longer holds it.
  case repair
  /// It gives our rules up.
  case withdraw
  /// It has no agent of this fleet, so nothing can be done.
  case notEnrolled = "not-enrolled"
  /// No policy applies to it, so nothing is.
  case noPolicy = "no-policy"

  /// Would the host be told to apply?
  package var touchesHost: Bool {
    switch self {
    case .install, .change, .repair, .withdraw: true
    case .unchanged, .notEnrolled, .noPolicy: false
    }
  }
}

package struct PlannedHost: Sendable {
  package enum Difference: Sendable {
    case none
    case rules(PerFamily<BundleDiff>)
    /// One of the texts could not be read; in words for an operator.
    case notComparable(String)
  }

  package let host: HostID
  package let action: PlanAction
  /// In words for an operator; equal for equal cases, so that hosts fold.
  package let reason: String
  package let mode: String?
  package let desired: Digest?
  package let committed: Committed?
  package let difference: Difference
  /// Equal for equal differences.
  package let differenceKey: Digest
  /// Digests of what was compared, which the approval of a plan is also about.
  package let compared: [Digest]
}

/// What would be done to which host and why, before anything is done. Immutable; made by `RolloutPlanner`.
package struct RolloutPlan: Sendable {
  package let fleet: FleetID
  /// The highest serial given out when the plan was made: another release since makes it stale.
  package let serialBase: Serial
  /// By name, each once.
  package let hosts: [PlannedHost]
  /// Over everything an approval is about. Equal fingerprints mean the same plan over the same state of the fleet.
  package let fingerprint: Digest

  init(fleet: FleetID, serialBase: Serial, hosts: [PlannedHost]) {
    self.fleet = fleet
    self.serialBase = serialBase
    self.hosts = hosts
    fingerprint = Self.fingerprint(fleet, serialBase, hosts)
  }

  package var touched: [PlannedHost] { hosts.filter(\.action.touchesHost) }
  package var isEmpty: Bool { !hosts.contains { $0.action.touchesHost } }

  /// Fields in the way of SSH: every length is written, so that no two plans have the same bytes.
  private static func fingerprint(_ fleet: FleetID, _ serialBase: Serial, _ hosts: [PlannedHost]) -> Digest {
    var out = ByteWriter()
    out.text("portcullis-plan 1")
    out.text(fleet.description)
    out.uint64(serialBase.value)
    out.uint64(UInt64(hosts.count))
    for host in hosts {
      out.text(host.host.description)
      out.text(host.action.rawValue)
      out.text(host.mode ?? "")
      out.string(host.desired?.bytes ?? [])
      out.uint64(host.committed?.serial.value ?? 0)
      out.string(host.committed?.manifest.bytes ?? [])
      out.string(host.committed?.content.bytes ?? [])
      out.uint64(UInt64(host.compared.count))
      for digest in host.compared { out.raw(digest.bytes) }
    }
    return Digest(of: out.bytes)
  }
}

/// Hosts to which the same would be done, for the same reason and with the same difference.
package struct PlanGroup: Sendable {
  package let action: PlanAction
  package let reason: String
  package let difference: PlannedHost.Difference
  /// By name.
  package let hosts: [HostID]
}

extension RolloutPlan {
  /// In the order of the actions' declaration, then the largest first, then by name.
  package var groups: [PlanGroup] {
    struct Key: Hashable {
      var action: PlanAction
      var reason: String
      var difference: Digest
    }
    var members: [Key: [PlannedHost]] = [:]
    for host in hosts {
      members[Key(action: host.action, reason: host.reason, difference: host.differenceKey), default: []].append(host)
    }
    return members.map { key, hosts in
      PlanGroup(
        action: key.action, reason: key.reason, difference: hosts[0].difference, hosts: hosts.map(\.host).sorted())
    }.sorted { a, b in
      let order = PlanAction.allCases
      return (order.firstIndex(of: a.action)!, -a.hosts.count, a.hosts[0])
        < (order.firstIndex(of: b.action)!, -b.hosts.count, b.hosts[0])
    }
  }
}
