package import Core
package import Inventory
internal import Release
package import Rollout
package import Store

/// An order that was sent before, and whom it is still to be brought to.
package struct ResumedOrder: Sendable {
  package let order: SealedOrder
  /// Those that did not obey, as far as is known.
  package let hosts: [InventoryHost]
  package let earlier: [HostID: OrderClaim]
  /// It was brought to them, they are not known to have obeyed, and the inventory has them no more.
  package let gone: [HostID]
  /// Those for which a later order was sent, by that order: it alone counts there.
  package let overtaken: [Epoch: [HostID]]
  /// Those that did not obey, as far as is known, and are still to.
  private let unfinished: [HostID]

  /// - Parameters:
  ///   - epoch: nil for the one that is not finished, which is one that may still arrive, if there is any; or else for the
  ///     last that was sent; drills aside.
  ///   - all: those that obeyed too.
  /// - Returns: nil when there is none.
  /// - Throws: `.refused` when nobody is left to bring it to, and when `epoch` is nil and several are not finished.
  package static func find(
    _ epoch: Epoch?, all: Bool, _ inventory: HostInventory, _ store: FleetStore, now: UTCTime
  ) async throws -> ResumedOrder? {
    guard let epoch else { return try await onlyOne(all: all, inventory, store, now: now) }
    let later = try await store.sentOrders(after: epoch)
    return try await of(try await stored(epoch, store), all: all, inventory, store, later: later).usable()
  }

  private static func onlyOne(
    all: Bool, _ inventory: HostInventory, _ store: FleetStore, now: UTCTime
  ) async throws -> ResumedOrder? {
    let sent = try await store.sentOrders()
    guard let last = sent.first else { return nil }
    var unfinished: [ResumedOrder] = []
    var late: [ResumedOrder] = []
    for (index, stored) in sent.enumerated() where now < stored.made + OrderTerms.longestWay {
      let found = try await of(stored, all: all, inventory, store, later: Array(sent[..<index]))
      if !found.unfinished.isEmpty, now < found.order.arriveBy {
        unfinished.append(found)
      } else if found.isUnsure {
        late.append(found)
      }
    }
    if unfinished.isEmpty { unfinished = late }
    guard unfinished.count < 2 else {
      let named = unfinished.map {
        "order \($0.order.epoch) (\($0.unfinished.count) \($0.unfinished.count == 1 ? "host" : "hosts"))"
      }
      throw Failure(
        "resume an order", because: Reason("\(unfinished.count) are not finished: \(named.joined(separator: ", "))"),
        hint: "say which: " + unfinished.map { "portcullis lockdown resume \($0.order.epoch)" }.joined(separator: ", "),
        kind: .refused)
    }
    if let only = unfinished.first { return only }
    return try await of(last, all: all, inventory, store, later: []).usable()
  }

  /// - Parameter later: those that were sent after it, the newest first.
  private static func of(
    _ stored: StoredOrder, all: Bool, _ inventory: HostInventory, _ store: FleetStore, later: [StoredOrder]
  ) async throws -> ResumedOrder {
    let later = try later.map { try SealedOrder($0) }
    let outcomes = Dictionary(
      uniqueKeysWithValues: try await store.outcomes(of: stored.epoch).map { ($0.host, $0) })
    func hasObeyed(_ host: HostID) -> Bool { outcomes[host]?.kind == .verified }
    var hosts: [InventoryHost] = []
    var earlier = outcomes.mapValues(\.asClaim)
    var gone: [HostID] = []
    var overtaken: [Epoch: [HostID]] = [:]
    for name in try await store.hosts(of: stored.epoch) {
      // Who ends a run by itself writes down what became of every host.
      if outcomes[name] == nil {
        earlier[name] = .unsure("what brought it there was ended before it could say what came of it")
      }
      if let host = inventory.host(named: name.description) {
        if let newest = later.first(where: { $0.isMeant(for: host) }) {
          overtaken[newest.epoch, default: []].append(name)
        } else if all || !hasObeyed(name) {
          hosts.append(host)
        }
      } else if all || !hasObeyed(name) {
        gone.append(name)
      }
    }
    return ResumedOrder(
      order: try SealedOrder(stored), hosts: hosts, earlier: earlier, gone: gone,
      overtaken: overtaken, unfinished: hosts.map(\.id).filter { !hasObeyed($0) })
  }

  /// Some may have obeyed without anybody knowing: they can be asked however late it is.
  private var isUnsure: Bool {
    unfinished.contains { if case .unsure = earlier[$0] { true } else { false } }
  }

  /// Who is left out, and why.
  package var notices: [String] {
    func names(_ hosts: [HostID]) -> String { Folding.fold(hosts.map(\.description)) }
    let overtaken = overtaken.sorted { $0.key < $1.key }.map { "order \($0) was sent since, and is for \(names($1))" }
    return overtaken + (gone.isEmpty ? [] : ["not in the inventory any more: \(names(gone))"])
  }

  private func usable() throws(Failure) -> ResumedOrder {
    guard hosts.isEmpty, !notices.isEmpty else { return self }
    throw Failure(
      "resume order \(order.epoch)", because: Reason(notices.joined(separator: "; ")),
      hint: "'portcullis lockdown status' tells how hosts stand; a fresh order: \(order.again())", kind: .refused)
  }

  private static func stored(_ epoch: Epoch, _ store: FleetStore) async throws -> StoredOrder {
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
