internal import Core
internal import Inventory
internal import Store

/// Orders that were sent to hosts since they last reported: their reports cannot know of them.
struct OrdersSince {
  private let orders: [(order: SealedOrder, outcomes: [HostID: OrderOutcome.Kind])]

  init(_ store: FleetStore?) async throws {
    orders =
      try await store?.ordersSinceReports().filter { !$0.outcomes.isEmpty }.map { stored, outcomes in
        (try SealedOrder(stored), outcomes)
      } ?? []
  }

  /// The newest that is for the host, in a sentence.
  func words(_ host: InventoryHost) -> String? {
    for (order, outcomes) in orders {
      guard let outcome = outcomes[host.id], order.isMeant(for: host) else { continue }
      let name = order.profile.map { "order \(order.epoch) (\($0))" } ?? "lift \(order.epoch)"
      return "\(name) was sent since it reported (\(Self.word(outcome))): 'portcullis status --refresh'"
    }
    return nil
  }

  private static func word(_ outcome: OrderOutcome.Kind) -> String {
    switch outcome {
    case .acknowledged: "acknowledged"
    case .verified: "verified"
    case .refused(let code, _): "refused: \(SafeText.escape(code))"
    case .unreachable: "did not reach it"
    case .unsure: "its answer is not known"
    }
  }
}
