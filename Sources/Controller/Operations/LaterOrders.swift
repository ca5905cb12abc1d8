internal import Core
internal import Inventory
internal import Store

/// Which orders were sent after one that is being brought, by anybody with this store. Looked for once for all hosts.
actor LaterOrders {
  /// For so long a look is as good as a new one.
  private static let freshness = Duration.seconds(1)

  private let epoch: Epoch
  private let store: FleetStore
  private var look: (at: ContinuousClock.Instant, orders: Task<[SealedOrder], any Error>)?
  /// The first time that it could not be read.
  private(set) var failure: (any Error)?

  init(than epoch: Epoch, in store: FleetStore) {
    self.epoch = epoch
    self.store = store
  }

  /// Nil also when it cannot be read: then the order is brought all the same, and `failure` tells.
  func overtaking(_ host: InventoryHost) async -> Epoch? {
    do {
      return try await orders().first { $0.isMeant(for: host) }?.epoch
    } catch {
      failure = failure ?? error
      return nil
    }
  }

  private func orders() async throws -> [SealedOrder] {
    if let look, look.at.duration(to: .now) < Self.freshness { return try await look.orders.value }
    let reading = Task { [store, epoch] in try await store.sentOrders(after: epoch).map { try SealedOrder($0) } }
    look = (.now, reading)
    return try await reading.value
  }
}
