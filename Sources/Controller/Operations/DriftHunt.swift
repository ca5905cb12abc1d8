package import Audit
internal import Core
package import Inventory
package import Store

/// Asks the hosts whether their kernels still hold what they committed, and what exactly differs.
package struct DriftHunt: Sendable {
  package struct Found: Sendable {
    package let drifts: [HostDrift]
    /// After asking, in inventory order.
    package let statuses: [HostStatus]
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package func hunt(_ hosts: [InventoryHost], store: FleetStore) async throws -> Found {
    let enrolled = try await store.enrolments()
    guard hosts.contains(where: { enrolled[$0.id] != nil }) else {
      throw Failure(
        "look for drift", because: Reason("none of these hosts is enrolled, as far as this controller knows"),
        hint: "enroll them, again if its state was lost: portcullis enroll HOST…")
    }
    let observation = Observation(workspace: workspace, limits: limits)
    // Compared as each host answers: the texts of a whole fleet are never in memory at once.
    var compared: [HostID: HostDrift] = [:]
    try await observation.refresh(hosts, store: store, differences: true) { host, texts in
      guard texts.ipv4 != nil || texts.ipv6 != nil else { return }
      compared[host] = HostDrift(
        host: host,
        texts: texts.map { _, sides in DriftTexts(expected: sides?.expected ?? [], observed: sides?.observed ?? []) })
    }
    let statuses = try await observation.statuses(hosts, store: store)
    let drifts = statuses.filter { $0.integrity == .drifted }.compactMap { compared[$0.host] }
    return Found(drifts: drifts, statuses: statuses)
  }
}
