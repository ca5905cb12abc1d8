import Core
import Inventory
import Release
import Store

@testable import Operations

/// Orders in a fleet's store as they are after they were made and sent, and what is known of hosts since.
struct SentOrders {
  enum Content {
    case lock
    case drill
    case lift
  }

  static let isolate = ProfileName("isolate")!
  let folder: FleetFolder

  func rewrite(_ hosts: String) throws {
    try Files.write(Array("all: {\(hosts)}\n".utf8), to: "\(folder.path)/inventory/hosts.yaml")
  }

  var store: FleetStore { folder.store }
  var now: UTCTime { folder.workspace.clock.now() }
  func inventory() throws -> HostInventory { try folder.workspace.inventory() }

  /// - Parameters:
  ///   - seconds: from now until it must have arrived.
  ///   - hosts: whom it was armed for and is brought to; nil for all that it is for.
  @discardableResult func make(
    _ content: Content, _ pattern: String = "all", arrivesWithin seconds: Int64 = 3600, liftsAfter: UInt32? = nil,
    to hosts: [String]? = nil, isSent: Bool = true, verified: [String] = [],
    unreachable: [String] = []
  ) async throws -> SealedOrder {
    let epoch = try await store.allocateEpoch()
    let terms = try OrderTerms(
      fleet: FleetID("lab")!, epoch: epoch, scope: LockScope(pattern, of: inventory()), issued: now + (seconds - 3600),
      arriveBy: now + seconds)
    let (kind, statement): (StoredOrder.Kind, [UInt8]) =
      switch content {
      case .lock:
        (
          .lockdown,
          try LockdownOrder(terms: terms, isDrill: false, profile: Self.isolate, liftsAfter: liftsAfter).encode()
        )
      case .drill:
        (.drill, try LockdownOrder(terms: terms, isDrill: true, profile: Self.isolate, liftsAfter: nil).encode())
      case .lift: (.unlock, try UnlockOrder(terms: terms).encode())
      }
    let signature = OrderSignature(principal: "anna", armored: Array("signature".utf8), added: now, actor: "anna")
    let stored = StoredOrder(
      epoch: epoch, kind: kind, statement: statement, threshold: 1, made: terms.issued, actor: "anna",
      signatures: [signature])
    let order = try SealedOrder(stored)
    let names =
      try hosts?.map { HostID($0)! }
      ?? inventory().hosts.filter { content == .lift || order.isMeant(for: $0) }.map(\.id)
    try await store.keep(stored, for: names)
    guard isSent else { return order }
    try await store.markSent(epoch, to: names, at: now)
    try await store.record(
      outcomes: verified.map { OrderOutcome(host: HostID($0)!, at: now, kind: .verified) }
        + unreachable.map { OrderOutcome(host: HostID($0)!, at: now, kind: .unreachable(words: "no route")) }, of: epoch
    )
    return order
  }
}

extension SentOrders {
  /// - Parameter hosts: what the inventory says under `all:`.
  init(_ hosts: String) throws {
    self.init(folder: try FleetFolder(policy: FleetFolder.bothHalves))
    try rewrite(hosts)
  }

  init(_ names: [String]) throws { try self.init("hosts: {\(names.map { "\($0): {}" }.joined(separator: ", "))}") }
}
