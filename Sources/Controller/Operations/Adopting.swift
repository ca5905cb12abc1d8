internal import Audit
package import Core
package import Import
package import Inventory
internal import Ruleset
package import Store

/// Makes a policy of what was added on hosts by hand, and tells which lines of policies say what was taken away.
package struct Adopting: Sendable {
  package struct Adopted: Sendable {
    package let hosts: [HostID]
    package let name: String
    package let appliesTo: String?
    /// Nil when nothing was added that a policy could say.
    package let policy: Adoption?
    /// Rules that are gone, safe to print, with the line of the policies that says them.
    package let removed: [(line: String, source: SourceLocation?)]
    /// In words for an operator, safe to print.
    package let leftOut: [String]
    package let unreachable: [HostID]
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// - Parameter name: of the policy.
  /// - Parameter group: it applies to; nil for the group that has exactly these hosts.
  package func adopt(
    _ hosts: [InventoryHost], name: String, group: String?, store: FleetStore
  ) async throws -> Adopted {
    let found = try await DriftHunt(workspace, limits: limits).hunt(hosts, store: store)
    let unreachable = found.statuses.filter { $0.contact == .unreachable }.map(\.host)
    let degraded = Set(found.statuses.filter { $0.modifiers.contains(.degraded) }.map(\.host))
    let waived = Set(found.drifts.filter { $0.waiver != nil }.map(\.host)).subtracting(degraded)
    var leftAlone: [String] = []
    for (hosts, why) in [
      (degraded, Waiving.degraded), (waived, "waived: 'portcullis drift waive --end' takes that back"),
    ] where !hosts.isEmpty {
      leftAlone.append("\(Folding.fold(hosts.map(\.description))): \(why)")
    }
    let groups = DriftGroup.fold(
      found.drifts.filter { $0.exact != nil && !degraded.contains($0.host) && !waived.contains($0.host) })
    guard groups.count <= 1 else {
      let named = groups.map { Folding.fold($0.hosts.map(\.description)) }.joined(separator: "; ")
      throw Failure(
        "adopt what differs", because: Reason("these hosts differ in \(groups.count) ways: \(named)"),
        hint: "adopt one at a time: -l names its hosts", kind: .usage)
    }
    guard let drift = groups.first, case .differs(let diffs) = drift.finding else {
      return Adopted(
        hosts: [], name: name, appliesTo: nil, policy: nil, removed: [], leftOut: leftAlone, unreachable: unreachable)
    }
    let added = try AddedRules(diffs)
    var appliesTo: String?
    var policy: Adoption?
    if !added.isEmpty {
      appliesTo = try await self.group(group, of: drift.hosts, store)
      policy = try Adoption.make(
        of: added,
        Adoption.Naming(
          name: name, appliesTo: appliesTo ?? "all",
          description: "As found on \(Folding.fold(drift.hosts.map(\.description))), put there by hand",
          directory: Files.exists(workspace.configuration.policies) ? workspace.configuration.policies : nil))
    }
    var removed: [(line: String, source: SourceLocation?)] = []
    for family in Family.allCases {
      for (index, line) in diffs[family].lines.enumerated()
      where line.kind == .removed && line.position != nil && BesideTable(rawValue: line.table) == nil {
        let sources = drift.sources[family]
        removed.append(
          ("\(family.words) \(line.shown.dropFirst())", sources.indices.contains(index) ? sources[index] : nil))
      }
    }
    return Adopted(
      hosts: drift.hosts, name: name, appliesTo: appliesTo, policy: policy, removed: removed,
      leftOut: added.leftOut + leftAlone, unreachable: unreachable)
  }

  /// A policy applies to groups: one that somebody names, or the one that has these hosts and no others.
  private func group(_ named: String?, of hosts: [HostID], _ store: FleetStore) async throws -> String {
    let inventory = try workspace.inventory()
    if let named {
      guard inventory.group(named: named) != nil else {
        throw Failure(
          "adopt what differs", because: Reason("the inventory has no group \(SafeText.escape(named))"), kind: .usage)
      }
      return named
    }
    let wanted = Set(hosts.map(\.description))
    for group in inventory.groups
    where Set(group.hostIndices.map { inventory.hosts[$0].id.description }) == wanted {
      return group.name
    }
    throw Failure(
      "adopt what differs on \(Folding.fold(hosts.map(\.description)))",
      because: Reason("no group of the inventory has exactly these hosts, and policies apply to groups"),
      hint: "name one with --group; its other hosts get the rules too", kind: .usage)
  }
}
