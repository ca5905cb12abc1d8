package import Core
internal import Foundation
internal import GRDB
internal import Wire

/// A signature under an order, and who brought it.
package struct OrderSignature: Hashable, Sendable {
  /// Whose key it is by, as allowed_signers said when it was verified: each principal signs once.
  package var principal: String
  package var armored: [UInt8]
  package var added: UTCTime
  /// The login, as far as the machine can tell.
  package var actor: String

  package init(principal: String, armored: [UInt8], added: UTCTime, actor: String) {
    self.principal = principal
    self.armored = armored
    self.added = added
    self.actor = actor
  }
}

/// A lockdown or unlock order as it is remembered. What it says is in its statement alone (docs/orders.md).
package struct StoredOrder: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case lockdown
    case drill
    case unlock
  }

  package enum State: Hashable, Sendable {
    /// It waits for signatures, or to be sent.
    case armed
    /// It was never sent, and a later order was to one of its hosts: who heard that one refuses this one.
    case stale(later: Epoch)
    case sent(UTCTime)
  }

  package var epoch: Epoch
  package var kind: Kind
  package var statement: [UInt8]
  /// How many different people must sign before it is sent.
  package var threshold: Int
  package var made: UTCTime
  package var actor: String
  /// By principal.
  package var signatures: [OrderSignature]
  /// Worked out when read: the kept one is always armed.
  package var state: State = .armed

  package init(
    epoch: Epoch, kind: Kind, statement: [UInt8], threshold: Int, made: UTCTime, actor: String,
    signatures: [OrderSignature] = []
  ) {
    self.epoch = epoch
    self.kind = kind
    self.statement = statement
    self.threshold = threshold
    self.made = made
    self.actor = actor
    self.signatures = signatures
  }

  package var signaturesMissing: Int { max(0, threshold - signatures.count) }
}

extension FleetStore {
  /// Armed from now on. Verified before, as hosts would verify it: the store reads none of it.
  /// - Parameter hosts: whom it is for, as far as is known now; `markSent` says whom it is brought to.
  package func keep(_ order: StoredOrder, for hosts: some Sequence<HostID> & Sendable) async throws(Failure) {
    try await write("keep order \(order.epoch)") { db in
      guard try order.epoch.column() <= Self.lastEpoch(db) else { throw Reason("its epoch was never given out") }
      try db.execute(
        literal: """
          INSERT INTO orders (epoch, kind, statement, threshold, made, actor)
          VALUES (\(try order.epoch.column()), \(order.kind.rawValue), \(Data(order.statement)), \(order.threshold),
            \(order.made.column), \(order.actor))
          """)
      for signature in order.signatures { try Self.insert(signature, order.epoch, db) }
      try Self.insert(hosts, order.epoch, db)
    }
  }

  /// - Returns: whether it counts; false when this principal has signed before.
  /// - Throws: when the order was sent: what is sent again must be the same.
  package func add(_ signature: OrderSignature, to epoch: Epoch) async throws(Failure) -> Bool {
    try await write("add a signature to order \(epoch)") { db in
      guard let order = try Self.order(epoch, db) else { throw Self.unknown(epoch) }
      if case .sent(let time) = order.state { throw Reason("it was sent at \(time)") }
      guard !order.signatures.contains(where: { $0.principal == signature.principal }) else { return false }
      try Self.insert(signature, epoch, db)
      return true
    }
  }

  /// To be called before the first byte goes out. The first time says whom the order is brought to, in place of whom it
  /// was armed for; later times add hosts.
  package func markSent(
    _ epoch: Epoch, to hosts: some Sequence<HostID> & Sendable, at time: UTCTime
  ) async throws(Failure) {
    try await write("record that order \(epoch) is sent") { db in
      guard let order = try Self.order(epoch, db) else { throw Self.unknown(epoch) }
      switch order.state {
      case .sent: break
      case .stale(let later):
        throw Failure(
          "send order \(epoch)", because: Reason("order \(later) was sent since, and hosts obey no earlier one"),
          hint: "arm or start a fresh order", kind: .refused)
      case .armed:
        guard order.signaturesMissing == 0 else {
          throw Failure(
            "send order \(epoch)",
            because: Reason("\(order.signatures.count) of \(order.threshold) people have signed it"),
            hint: "another person: portcullis lockdown sign \(epoch)", kind: .refused)
        }
        let column = try epoch.column()
        try db.execute(sql: "UPDATE orders SET sent = ? WHERE epoch = ?", arguments: [time.column, column])
        try db.execute(sql: "DELETE FROM order_hosts WHERE epoch = ?", arguments: [column])
      }
      try Self.insert(hosts, epoch, db)
    }
  }

  package func order(_ epoch: Epoch) async throws(Failure) -> StoredOrder? {
    try await read("read order \(epoch)") { try Self.order(epoch, $0) }
  }

  /// The newest first.
  /// - Parameter kinds: empty for all.
  package func orders(of kinds: Set<StoredOrder.Kind> = [], newest limit: Int = 100) async throws(Failure)
    -> [StoredOrder]
  {
    try await read("read the orders") { db in
      let wanted = (kinds.isEmpty ? Set(StoredOrder.Kind.allCases) : kinds).map(\.rawValue)
      return try SQLRequest<Row>(
        literal: "SELECT * FROM orders WHERE kind IN \(wanted) ORDER BY epoch DESC LIMIT \(limit)"
      ).fetchAll(db).map { try Self.order($0, db) }
    }
  }

  /// Those that were sent and are no drills, the newest first.
  package func sentOrders(after epoch: Epoch = .none) async throws(Failure) -> [StoredOrder] {
    try await read("read which orders were sent after \(epoch)") { db in
      try SQLRequest<Row>(
        literal: """
          SELECT * FROM orders WHERE epoch > \(epoch.clampedColumn) AND sent IS NOT NULL AND kind <> 'drill'
          ORDER BY epoch DESC
          """
      ).fetchAll(db).map { try Self.order($0, db) }
    }
  }

  /// By host, the last order that it is known to have heard, or may have, as one for it; drills aside.
  package func newestHeard() async throws(Failure) -> [HostID: Epoch] {
    try await read("read which orders hosts heard last") { db in
      let rows = try SQLRequest<Row>(
        literal: """
          SELECT host, max(epoch) AS epoch FROM order_hosts JOIN orders USING (epoch)
          WHERE sent IS NOT NULL AND kind <> 'drill' AND outcome IN ('acknowledged', 'verified', 'unsure')
            AND ifnull(result, -1) <> \(Obeyed.Result.outOfScope.rawValue)
          GROUP BY host
          """
      ).fetchAll(db)
      return Dictionary(
        try rows.map { (try $0.host(), Epoch(column: $0["epoch"])) }, uniquingKeysWith: { max($0, $1) })
    }
  }

  private static func insert(_ signature: OrderSignature, _ epoch: Epoch, _ db: Database) throws {
    try db.execute(
      literal: """
        INSERT INTO order_signatures (epoch, principal, armored, added, actor)
        VALUES (\(try epoch.column()), \(signature.principal), \(Data(signature.armored)), \(signature.added.column),
          \(signature.actor))
        """)
  }

  private static func insert(_ hosts: some Sequence<HostID>, _ epoch: Epoch, _ db: Database) throws {
    let insert = try db.cachedStatement(sql: "INSERT OR IGNORE INTO order_hosts (epoch, host) VALUES (?, ?)")
    for host in hosts { try insert.execute(arguments: [try epoch.column(), host.description]) }
  }

  private static func unknown(_ epoch: Epoch) -> Failure {
    Failure(
      "look up order \(epoch)", because: Reason("there is no such order"),
      hint: "'portcullis lockdown status' lists them", kind: .usage)
  }

  private static func order(_ epoch: Epoch, _ db: Database) throws -> StoredOrder? {
    // One that does not fit a column was never kept.
    guard let column = Int64(exactly: epoch.value) else { return nil }
    return try Row.fetchOne(db, sql: "SELECT * FROM orders WHERE epoch = ?", arguments: [column])
      .map { try order($0, db) }
  }

  private static func order(_ row: Row, _ db: Database) throws -> StoredOrder {
    let column: Int64 = row["epoch"]
    guard let kind = StoredOrder.Kind(rawValue: row["kind"]) else {
      throw Reason("order \(column) in the store is of no known kind")
    }
    var order = StoredOrder(
      epoch: Epoch(column: column), kind: kind, statement: try row.bytes("statement"), threshold: row["threshold"],
      made: row.time("made"), actor: row["actor"])
    order.signatures = try Row.fetchAll(
      db, sql: "SELECT * FROM order_signatures WHERE epoch = ? ORDER BY principal", arguments: [column]
    ).map { row in
      OrderSignature(
        principal: row["principal"], armored: try row.bytes("armored"), added: row.time("added"), actor: row["actor"])
    }
    if let sent = row["sent"] as Int64? {
      order.state = .sent(UTCTime(column: sent))
    } else if let later = try Int64.fetchOne(
      db,
      sql: """
        SELECT epoch FROM orders AS later WHERE epoch > ?1 AND sent IS NOT NULL AND kind <> 'drill' AND EXISTS (
          SELECT 1 FROM order_hosts AS own JOIN order_hosts AS its USING (host)
          WHERE own.epoch = ?1 AND its.epoch = later.epoch)
        ORDER BY epoch LIMIT 1
        """, arguments: [column])
    {
      order.state = .stale(later: Epoch(column: later))
    }
    return order
  }
}
