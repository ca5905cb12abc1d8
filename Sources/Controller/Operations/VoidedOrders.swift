package import Core
package import Store

/// Armed orders that cannot be sent any more once another goes out: hosts that hear a later one obey no earlier one.
package enum VoidedOrders {
  /// For whoever is about to say yes.
  ///
  /// - Parameters:
  ///   - epoch: of what goes out; nil when it is not made yet.
  ///   - hosts: whom it is brought to.
  package static func notices(
    _ store: FleetStore, by epoch: Epoch? = nil, broughtTo hosts: [HostID], now: UTCTime
  ) async throws -> [String] {
    let reached = Set(hosts)
    var notices: [String] = []
    for stored in try await store.orders(of: [.lockdown, .unlock]) where stored.state == .armed {
      let order = try SealedOrder(stored)
      guard epoch.map({ order.epoch < $0 }) ?? true, now < order.arriveBy,
        try await store.hosts(of: order.epoch).contains(where: reached.contains)
      else { continue }
      let name = order.profile.map { "order \(order.epoch) (\($0))" } ?? "lift \(order.epoch)"
      let people = stored.signatures.count == 1 ? "1 person" : "\(stored.signatures.count) people"
      notices.append("\(name), armed and signed by \(people), cannot be sent after this")
    }
    return notices
  }
}
