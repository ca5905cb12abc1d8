package import Core
package import Inventory
package import Rollout
package import Store

/// An order that was sent before, and whom it is still to be brought to.
package struct ResumedOrder: Sendable {
  package let order: SealedOrder
  /// Those that did not obey, as far as is known.
  package let hosts: [InventoryHost]
  package let earlier: [HostID: OrderClaim]
  /// It was brought to them, and the inventory has them no more.
  package let gone: [HostID]

  /// - Parameters:
  ///   - epoch: nil for the last one that was sent and is no drill.
  ///   - all: those that obeyed too.
  /// - Returns: nil when there is none.
  package static func find(
    _ epoch: Epoch?, all: Bool, _ inventory: HostInventory, _ store: FleetStore
  ) async throws -> ResumedOrder? {
    guard let stored = try await stored(epoch, store) else { return nil }
    let outcomes = Dictionary(
      uniqueKeysWithValues: try await store.outcomes(of: stored.epoch).map { ($0.host, $0) })
    let names = try await store.hosts(of: stored.epoch)
    let left = names.filter { all || outcomes[$0]?.kind != .verified }
    let hosts = left.compactMap { inventory.host(named: $0.description) }
    return ResumedOrder(
      order: try SealedOrder(stored), hosts: hosts, earlier: outcomes.mapValues(\.asClaim),
      gone: left.filter { inventory.host(named: $0.description) == nil })
  }

  private static func stored(_ epoch: Epoch?, _ store: FleetStore) async throws -> StoredOrder? {
    guard let epoch else {
      return try await store.orders(of: [.lockdown, .unlock]).first { $0.wasSent }
    }
    func refuse(_ why: String, hint: String) -> Failure {
      Failure("resume order \(epoch)", because: Reason(why), hint: hint, kind: .usage)
    }
    guard let order = try await store.order(epoch) else {
      throw refuse("there is no such order", hint: "'portcullis lockdown status' tells of the last one")
    }
    guard order.wasSent else {
      throw refuse("it was never sent", hint: "portcullis lockdown start --armed \(epoch)")
    }
    guard order.kind != .drill else { throw refuse("it is a drill", hint: "portcullis lockdown drill PROFILE") }
    return order
  }
}

extension StoredOrder {
  package var wasSent: Bool {
    if case .sent = state { true } else { false }
  }
}
