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
    let texts = try await observation.refresh(hosts, store: store, differences: true)
    let statuses = try await observation.statuses(hosts, store: store)
    let drifts = statuses.filter { $0.integrity == .drifted && texts[$0.host] != nil }.map { status in
      HostDrift(
        host: status.host,
        texts: texts[status.host]!.map { _, sides in
          DriftTexts(expected: sides?.expected ?? [], observed: sides?.observed ?? [])
        })
    }
    return Found(drifts: drifts, statuses: statuses)
  }
}
