package import Audit
package import Core
internal import Foundation
internal import GRDB

extension FleetStore {
  /// Nobody reads more at once.
  package static let eventsLimit = 100_000

  /// In the order in which we learnt of them.
  /// - Parameters:
  ///   - hosts: nil for all.
  ///   - limit: the newest so many.
  /// - Returns: how many older ones were left out, besides.
  package func events(
    of hosts: Set<HostID>?, since: UTCTime? = nil, limit: Int = FleetStore.eventsLimit
  ) async throws(Failure) -> (told: [HostEvent], leftOut: Int) {
    try await read("read what happened") { db -> (told: [HostEvent], leftOut: Int) in
      var condition = "(:since IS NULL OR at >= :since)"
      var arguments: StatementArguments = ["since": since?.column]
      if let hosts {
        condition += " AND host IN (SELECT value FROM json_each(:hosts))"
        let names = try JSONEncoder().encode(hosts.map(\.description))
        arguments += ["hosts": String(decoding: names, as: UTF8.self)]
      }
      let events = try Row.fetchAll(
        db,
        sql: """
          SELECT * FROM (SELECT * FROM events WHERE \(condition) ORDER BY id DESC LIMIT :limit) ORDER BY id
          """, arguments: arguments + ["limit": limit]
      ).map(Self.event)
      guard events.count == limit else { return (events, 0) }
      let all = try Int.fetchOne(db, sql: "SELECT count(*) FROM events WHERE \(condition)", arguments: arguments) ?? 0
      return (events, max(0, all - events.count))
    }
  }

  /// The same of one host, or of all.
  package func events(
    of host: HostID? = nil, since: UTCTime? = nil, limit: Int = FleetStore.eventsLimit
  ) async throws(Failure) -> [HostEvent] {
    try await events(of: host.map { Set([$0]) }, since: since, limit: limit).told
  }

  /// - Returns: how many were forgotten.
  @discardableResult
  package func pruneEvents(before moment: UTCTime) async throws(Failure) -> Int {
    try await write("forget what happened before \(moment)") { db in
      // Mostly there is nothing, and then the file stays as it is.
      let isOld = try Bool.fetchOne(
        db, sql: "SELECT EXISTS (SELECT 1 FROM events WHERE at < ?)", arguments: [moment.column])
      guard isOld == true else { return 0 }
      try db.execute(sql: "UPDATE forgetting SET before = ?", arguments: [moment.column])
      try db.execute(sql: "DELETE FROM events WHERE at < ?", arguments: [moment.column])
      let forgotten = db.changesCount
      try db.execute(sql: "UPDATE forgetting SET before = NULL")
      return forgotten
    }
  }

  /// Within the transaction that makes them so.
  static func append(_ events: [HostEvent], _ db: Database) throws {
    for event in events { try append(event, origin: nil, db) }
  }

  /// - Parameter origin: what has one is kept once.
  static func append(_ event: HostEvent, origin: Digest?, _ db: Database) throws {
    if let origin {
      let find = try db.cachedStatement(sql: "SELECT 1 FROM events WHERE host = ? AND origin = ?")
      guard try Row.fetchOne(find, arguments: [event.host.description, origin.column]) == nil else { return }
    }
    let insert = try db.cachedStatement(
      sql: "INSERT INTO events (host, at, kind, cause, serial, details, origin) VALUES (?, ?, ?, ?, ?, ?, ?)")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let details = String(decoding: try encoder.encode(event.details), as: UTF8.self)
    try insert.execute(arguments: [
      event.host.description, event.at.column, event.kind.rawValue, event.cause.rawValue, event.serial?.clampedColumn,
      details, origin?.column,
    ])
  }

  /// As the newest event has it; nil when none says.
  static func hold(of host: String, _ db: Database) throws -> Timeline.Hold? {
    let kinds = HostEvent.Kind.allCases.filter(\.tellsHold).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    let find = try db.cachedStatement(
      sql: "SELECT * FROM events WHERE host = ? AND kind IN (\(kinds)) ORDER BY id DESC LIMIT 1")
    guard let row = try Row.fetchOne(find, arguments: [host]) else { return nil }
    let event = try event(row)
    return Timeline.Hold(event.kind, event.details)
  }

  static func event(_ row: Row) throws -> HostEvent {
    let host = try row.host()
    guard let kind = HostEvent.Kind(rawValue: row["kind"]), let cause = HostEvent.Cause(rawValue: row["cause"]) else {
      throw Reason("the store has something that happened to \(host) and is of no known kind")
    }
    return HostEvent(
      host: host, at: row.time("at"), kind: kind, cause: cause,
      serial: (row["serial"] as Int64?).map { Serial(column: $0) },
      details: try JSONDecoder().decode(HostEvent.Details.self, from: Data((row["details"] as String).utf8)))
  }
}
