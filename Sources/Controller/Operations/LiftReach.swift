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

  /// - Parameter epoch: nil when it is not made yet.
  package static func find(
    _ scope: LockScope, epoch: Epoch? = nil, of inventory: HostInventory, _ store: FleetStore, now: UTCTime
  ) async throws -> LiftReach {
    var undecided = inventory.hosts.filter { !scope.includes($0) }
    guard !undecided.isEmpty else { return LiftReach(hosts: inventory.hosts, spared: [:]) }
    var spared: [Epoch: [HostID]] = [:]
    for stored in try await store.sentOrders() where !undecided.isEmpty {
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
    return LiftReach(hosts: inventory.hosts.filter { !names.contains($0.id) }, spared: spared)
  }

  /// For whoever is about to say yes.
  package var notices: [String] {
    spared.sorted { $0.key < $1.key }.map { epoch, hosts in
      "not for \(Folding.fold(hosts.map(\.description))), and not brought there: order \(epoch) is still to be obeyed there"
    }
  }
}
