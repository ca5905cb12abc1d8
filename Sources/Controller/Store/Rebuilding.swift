package import Core
internal import GRDB

/// A store that was begun in place of a damaged one does not know which hosts are enrolled: each is asked until it has
/// answered or was removed.
extension FleetStore {
  /// Whether there may still be such hosts.
  package func isRebuilt() async throws(Failure) -> Bool {
    try await read("look whether the store was begun anew") { try Self.isRebuilt($0) }
  }

  private static func isRebuilt(_ db: Database) throws -> Bool {
    try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM rebuilt)") ?? false
  }

  /// Hosts that were removed since the store was begun anew.
  package func departed() async throws(Failure) -> Set<HostID> {
    try await read("read which hosts were removed") { db in
      Set(try Row.fetchAll(db, sql: "SELECT host FROM departed").map { try $0.host() })
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
}
