package import Core
internal import GRDB
package import Wire

/// What is known of an order on one host.
package struct OrderOutcome: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// The agent answered, and what it did is yet to be read back.
    case acknowledged
    /// It is as ordered, by what was read back.
    case verified
    /// The host's own word for it, and its sentence. It was not obeyed.
    case refused(code: String, words: String)
    case unreachable(words: String)
    /// It may have been heard: the answer was lost.
    case unsure(words: String)
  }

  /// Which lock was in force afterwards.
  package struct Lock: Hashable, Sendable {
    package var epoch: Epoch
    package var order: Digest

    package init(epoch: Epoch, order: Digest) {
      self.epoch = epoch
      self.order = order
    }
  }

  package var host: HostID
  package var at: UTCTime
  package var kind: Kind
  /// What the agent said it did; nil when it said nothing.
  package var result: Obeyed.Result?
  /// Nil when none is, or nobody knows.
  package var lock: Lock?
  package var flowsCut: UInt32
  /// From the start of the try that was answered to what is known now.
  package var microseconds: UInt64?
  /// Each one line.
  package var warnings: [String]

  package init(
    host: HostID, at: UTCTime, kind: Kind, result: Obeyed.Result? = nil, lock: Lock? = nil, flowsCut: UInt32 = 0,
    microseconds: UInt64? = nil, warnings: [String] = []
  ) {
    self.host = host
    self.at = at
    self.kind = kind
    self.result = result
    self.lock = lock
    self.flowsCut = flowsCut
    self.microseconds = microseconds
    self.warnings = warnings
  }
}

extension FleetStore {
  /// A later outcome of a host takes the place of the one before; but silence takes no answer's place, so that it stays
  /// known why a host refused, or that another run has its answer.
  /// - Throws: for a host that `markSent` did not name.
  package func record(outcomes: [OrderOutcome], of epoch: Epoch) async throws(Failure) {
    guard !outcomes.isEmpty else { return }
    try await write("record \(outcomes.count) outcomes of order \(epoch)") { db in
      for outcome in outcomes {
        let (word, code, words) = Self.columns(outcome.kind)
        if word == "unreachable", try Self.isAnswered(epoch, outcome.host, db) { continue }
        try db.execute(
          literal: """
            UPDATE order_hosts SET at = \(outcome.at.column), outcome = \(word), code = \(code), words = \(words),
              result = \(outcome.result?.rawValue), lock_epoch = \(outcome.lock?.epoch.clampedColumn),
              lock_order = \(outcome.lock?.order.column), flows = \(outcome.flowsCut),
              microseconds = \(outcome.microseconds.map { Int64(clamping: $0) }),
              warnings = \(outcome.warnings.joined(separator: "\n"))
            WHERE epoch = \(try epoch.column()) AND host = \(outcome.host.description)
            """)
        guard db.changesCount == 1 else { throw Reason("the order was not brought to \(outcome.host)") }
      }
    }
  }

  /// Whom an order is brought to, or is armed for. By name.
  package func hosts(of epoch: Epoch) async throws(Failure) -> [HostID] {
    try await read("read the hosts of order \(epoch)") { db in
      try Row.fetchAll(
        db, sql: "SELECT host FROM order_hosts WHERE epoch = ? ORDER BY host", arguments: [epoch.clampedColumn]
      ).map { try $0.host() }
    }
  }

  /// By host; those that were not asked yet have none.
  package func outcomes(of epoch: Epoch) async throws(Failure) -> [OrderOutcome] {
    try await read("read the outcomes of order \(epoch)") { db in
      try Row.fetchAll(
        db, sql: "SELECT * FROM order_hosts WHERE epoch = ? AND outcome IS NOT NULL ORDER BY host",
        arguments: [epoch.clampedColumn]
      ).map(Self.outcome)
    }
  }

  /// Or may be.
  private static func isAnswered(_ epoch: Epoch, _ host: HostID, _ db: Database) throws -> Bool {
    let find = try db.cachedStatement(
      sql: "SELECT 1 FROM order_hosts WHERE epoch = ? AND host = ? AND outcome <> 'unreachable'")
    return try Row.fetchOne(find, arguments: [try epoch.column(), host.description]) != nil
  }

  private static func columns(_ kind: OrderOutcome.Kind) -> (word: String, code: String?, words: String?) {
    switch kind {
    case .acknowledged: ("acknowledged", nil, nil)
    case .verified: ("verified", nil, nil)
    case .refused(let code, let words): ("refused", code, words)
    case .unreachable(let words): ("unreachable", nil, words)
    case .unsure(let words): ("unsure", nil, words)
    }
  }

  static func outcome(_ row: Row) throws -> OrderOutcome {
    let host = try row.host()
    guard let kind = kind(row) else { throw Reason("the store has an unknown outcome for \(host)") }
    var outcome = OrderOutcome(host: host, at: row.time("at"), kind: kind, flowsCut: row["flows"])
    if let number = row["result"] as UInt8? {
      guard let result = Obeyed.Result(rawValue: number) else {
        throw Reason("the store has an unknown answer of \(host)")
      }
      outcome.result = result
    }
    if let epoch = row["lock_epoch"] as Int64?, let order = try row.optionalDigest("lock_order") {
      outcome.lock = .init(epoch: Epoch(column: epoch), order: order)
    }
    outcome.microseconds = (row["microseconds"] as Int64?).map { UInt64(clamping: $0) }
    outcome.warnings = (row["warnings"] as String).split(separator: "\n").map(String.init)
    return outcome
  }

  private static func kind(_ row: Row) -> OrderOutcome.Kind? {
    let words = row["words"] as String? ?? ""
    return switch row["outcome"] as String {
    case "acknowledged": .acknowledged
    case "verified": .verified
    case "refused": .refused(code: row["code"] as String? ?? "", words: words)
    case "unreachable": .unreachable(words: words)
    case "unsure": .unsure(words: words)
    default: nil
    }
  }
}
