package import Core
package import Inventory
package import Release
internal import Rollout
package import Store

/// Whom a lift is brought to: every host, so that older orders are void on all of them. But not to those outside it that
/// a lockdown is still on its way to: it would be void there too.
package struct LiftReach: Sendable {
  package let hosts: [InventoryHost]
  /// To whom it is not brought, by the order that is to hold there.
  package let spared: [Epoch: [HostID]]
  /// Who may be locked, by which order, and is out of reach: the inventory has them no more.
  package let gone: [Epoch: [HostID]]
  private let epoch: Epoch?

  /// - Parameter epoch: nil when it is not made yet.
  package static func find(
    _ scope: LockScope, epoch: Epoch? = nil, of inventory: HostInventory, _ store: FleetStore, now: UTCTime
  ) async throws -> LiftReach {
    let sent = try await store.sentOrders()
    var undecided = inventory.hosts.filter { !scope.includes($0) }
    var spared: [Epoch: [HostID]] = [:]
    for stored in sent where !undecided.isEmpty {
      let order = try SealedOrder(stored)
      let its = undecided.filter(order.isMeant)
      undecided.removeAll(where: order.isMeant)
      let isLater = epoch.map { order.epoch > $0 } ?? false
      guard isLater || (order.deed.isLock && now < order.arriveBy) else { continue }
      let obeyed = Set(try await store.outcomes(of: order.epoch).filter { $0.kind == .verified }.map(\.host))
      let left = its.map(\.id).filter { isLater || !obeyed.contains($0) }
      if !left.isEmpty { spared[order.epoch] = left }
    }
    let names = Set(spared.values.joined())
    return LiftReach(
      hosts: inventory.hosts.filter { !names.contains($0.id) }, spared: spared,
      gone: try await gone(sent, inventory, store), epoch: epoch)
  }

  private static func gone(
    _ sent: [StoredOrder], _ inventory: HostInventory, _ store: FleetStore
  ) async throws -> [Epoch: [HostID]] {
    let locks = Set(sent.filter { $0.kind == .lockdown }.map(\.epoch))
    guard !locks.isEmpty else { return [:] }
    let known = Set(inventory.hosts.map(\.id))
    let heard = try await store.newestHeard().filter { !known.contains($0.key) && locks.contains($0.value) }
    return Dictionary(grouping: heard.keys.sorted()) { heard[$0]! }
  }

  /// For whoever is about to say yes.
  package var notices: [String] {
    func names(_ hosts: [HostID]) -> String { Folding.fold(hosts.map(\.description)) }
    return spared.sorted { $0.key < $1.key }.map { order, hosts in
      let isLater = epoch.map { order > $0 } ?? false
      return "not for \(names(hosts)), and not brought there: order \(order) "
        + (isLater ? "was sent since, and counts there" : "is still to be obeyed there")
    }
      + gone.sorted { $0.key < $1.key }.map { order, hosts in
        "not lifted: \(names(hosts)), which order \(order) may hold, and the inventory has no more"
      }
  }
}
