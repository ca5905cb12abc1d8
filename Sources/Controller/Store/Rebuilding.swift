package import Core
internal import GRDB

/// A store that was begun in place of another, or that is older than what was done since, does not know which hosts are
/// enrolled: each is asked until it has answered or was removed, and one that was never enrolled once.
extension FleetStore {
  /// Whether there may still be such hosts.
  package func isRebuilt() async throws(Failure) -> Bool {
    try await read("look whether the store was begun anew") { try Self.isRebuilt($0) }
  }

  static func isRebuilt(_ db: Database) throws -> Bool {
    try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM rebuilt)") ?? false
  }

  static func markRebuilt(_ db: Database, at now: UTCTime, because reason: String) throws {
    try db.execute(
      literal: "INSERT OR IGNORE INTO rebuilt (one, at, damaged) VALUES (1, \(now.column), \(reason))")
  }

  /// Hosts that are not to be asked: they were removed since the store was begun anew, or never were of the fleet.
  package func departed() async throws(Failure) -> Set<HostID> {
    try await read("read which hosts were removed") { db in
      Set(try Row.fetchAll(db, sql: "SELECT host FROM departed").map { try $0.host() })
    }
  }

  package func depart(_ hosts: Set<HostID>) async throws(Failure) {
    guard !hosts.isEmpty else { return }
    try await write("record that \(hosts.count) hosts are not of the fleet") { db in
      for host in hosts.sorted() { try Self.depart(host, db) }
    }
  }

  /// Within the transaction that removes it.
  static func depart(_ host: HostID, _ db: Database) throws {
    guard try isRebuilt(db) else { return }
    try db.execute(sql: "INSERT OR IGNORE INTO departed (host) VALUES (?)", arguments: [host.description])
  }

  /// From now on it knows its hosts like any other store.
  package func endRebuilding() async throws(Failure) {
    try await write("record that all hosts are known again") { db in
      for table in ["rebuilt", "departed"] { try db.execute(sql: "DELETE FROM \(table)") }
    }
  }

  /// Whether no host was ever heard of here, and no number given out.
  package func knowsNothing() throws -> Bool {
    try pool.read { db in
      let tables = ["enrolments", "reports", "contact_failures", "events", "releases", "runs", "waivers", "rebuilt"]
      return try Self.lastSerial(db) == 0 && Self.lastEpoch(db) == 0
        && tables.allSatisfy { try Bool.fetchOne(db, sql: "SELECT NOT EXISTS (SELECT 1 FROM \($0))") ?? true }
    }
  }

  /// The highest serial ever given out here. For whoever opens the store, and cannot wait.
  package func newestSerial() throws(Failure) -> Serial {
    do { return Serial(column: try pool.read { try Self.lastSerial($0) }) } catch {
      throw StoreProblem.failure("read the last serial", path: path, error)
    }
  }

  /// A release was made that this store knows nothing of: no number is given out twice, and hosts that were enrolled since
  /// are looked for.
  package func catchUp(with release: Serial, at now: UTCTime) throws(Failure) {
    do {
      try pool.write { db in
        try db.execute(sql: "UPDATE serial_counter SET last = max(last, ?)", arguments: [try release.column()])
        try Self.markRebuilt(db, at: now, because: "older than release \(release)")
      }
    } catch {
      throw StoreProblem.failure("go on above release \(release)", path: path, error)
    }
  }
}
