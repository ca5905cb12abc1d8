package import Audit
package import Core
internal import GRDB

extension FleetStore {
  /// A host has one at a time: a new one takes the place of that of before.
  package func save(waivers: [Waiver]) async throws(Failure) {
    guard !waivers.isEmpty else { return }
    try await write("record \(waivers.count) waivers") { db in try Self.insert(waivers, db) }
  }

  static func insert(_ waivers: [Waiver], _ db: Database) throws {
    for waiver in waivers {
      try db.execute(
        literal: """
          INSERT OR REPLACE INTO waivers (host, difference, words, ends, reason, actor, made, seal)
          VALUES (\(waiver.host.description), \(waiver.difference.column), \(waiver.words), \(waiver.ends.column),
            \(waiver.reason), \(waiver.actor), \(waiver.made.column), \(seal(of: waiver).column))
          """)
    }
  }

  /// By host; those that are over too, until somebody ends them.
  package func waivers() async throws(Failure) -> [Waiver] {
    try await read("read the waivers") { db in
      try Row.fetchAll(db, sql: "SELECT * FROM waivers ORDER BY host").map(Self.waiver)
    }
  }

  /// - Returns: those that there were.
  package func endWaivers(of hosts: [HostID]) async throws(Failure) -> [Waiver] {
    try await write("end the waivers of \(hosts.count) hosts") { db in
      var ended: [Waiver] = []
      for host in hosts {
        guard
          let row = try Row.fetchOne(db, sql: "SELECT * FROM waivers WHERE host = ?", arguments: [host.description])
        else { continue }
        ended.append(try Self.waiver(row))
        try db.execute(sql: "DELETE FROM waivers WHERE host = ?", arguments: [host.description])
      }
      return ended
    }
  }

  static func waiver(_ row: Row) throws -> Waiver {
    Waiver(
      host: try row.host(), difference: try row.digest("difference"), words: row["words"], ends: row.time("ends"),
      reason: row["reason"], actor: row["actor"], made: row.time("made"))
  }

  /// What is known of differences, beside what hosts said.
  static func addDifferences(_ db: Database, to known: inout [HostID: HostObservation]) throws {
    let differences = try Row.fetchCursor(db, sql: "SELECT * FROM differences")
    while let row = try differences.next() {
      known[try row.host(), default: .init()].difference = .init(
        sides: try sides(row), exact: try row.digest("exact"))
    }
    let waivers = try Row.fetchCursor(db, sql: "SELECT * FROM waivers")
    while let row = try waivers.next() { known[try row.host(), default: .init()].waiver = try waiver(row) }
  }
}
