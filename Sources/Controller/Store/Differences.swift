package import Audit
package import Core
internal import Foundation
internal import GRDB
internal import Wire

extension FleetStore {
  /// Keeps the last difference of each host that was worked out; that of before goes.
  package func remember(_ differences: [KnownDifference]) async throws(Failure) {
    guard !differences.isEmpty else { return }
    try await write("remember what differs on \(differences.count) hosts") { db in
      for known in differences {
        let before = try Data.fetchOne(
          db, sql: "SELECT body FROM differences WHERE host = ?", arguments: [known.host.description])
        let body = Digest(of: known.body)
        try db.execute(
          literal: "INSERT OR IGNORE INTO texts (digest, body) VALUES (\(body.column), \(Data(known.body)))")
        try db.execute(
          literal: """
            INSERT OR REPLACE INTO differences (host, ipv4_expected, ipv4_observed, ipv6_expected, ipv6_observed, exact,
              body)
            VALUES (\(known.host.description), \(known.sides.expected.ipv4.column), \(known.sides.observed.ipv4.column),
              \(known.sides.expected.ipv6.column), \(known.sides.observed.ipv6.column), \(known.exact.column),
              \(body.column))
            """)
        if let before, before != body.column { try Self.forgetUnused(text: before, db) }
      }
    }
  }

  /// A host that keeps changing must not fill the file with what it differed by.
  private static func forgetUnused(text digest: Data, _ db: Database) throws {
    try db.execute(
      sql: """
        DELETE FROM texts WHERE digest = :text AND NOT EXISTS (SELECT 1 FROM differences WHERE body = :text)
        AND NOT EXISTS (
          SELECT 1 FROM bundles WHERE ipv4 = :text OR ipv6 = :text OR sets = :text OR sysctl = :text
          OR ipv4_trace = :text OR ipv6_trace = :text)
        AND NOT EXISTS (SELECT 1 FROM profile_texts WHERE digest = :text)
        """, arguments: ["text": digest])
  }

  /// By host, of those whose last difference is known.
  package func differences(of hosts: [HostID]) async throws(Failure) -> [HostID: DifferenceState] {
    try await read("read what differed on \(hosts.count) hosts") { db in
      let find = try db.cachedStatement(sql: "SELECT * FROM differences WHERE host = ?")
      var known: [HostID: DifferenceState] = [:]
      for host in hosts {
        guard let row = try Row.fetchOne(find, arguments: [host.description]) else { continue }
        known[host] = DifferenceState(
          sides: try Self.sides(row), exact: try row.digest("exact"), body: try row.digest("body"))
      }
      return known
    }
  }

  /// What differs, as `HostDrift.encoded`; nil for what is not there, or was altered: it is asked for again.
  package func difference(_ digest: Digest) async throws(Failure) -> [UInt8]? {
    try await read("read a difference") { db in
      guard let body = try Data.fetchOne(db, sql: "SELECT body FROM texts WHERE digest = ?", arguments: [digest.column])
      else { return nil }
      let bytes = [UInt8](body)
      return Digest(of: bytes) == digest ? bytes : nil
    }
  }

  static func sides(_ row: Row) throws -> DriftSides {
    DriftSides(
      expected: PerFamily(ipv4: try row.digest("ipv4_expected"), ipv6: try row.digest("ipv6_expected")),
      observed: try observed(row))
  }

  static func observed(_ row: Row) throws -> PerFamily<Digest> {
    PerFamily(ipv4: try row.digest("ipv4_observed"), ipv6: try row.digest("ipv6_observed"))
  }

  /// Since when each of these hosts says what it said last of what it expects and what it found.
  package func driftSpans(of hosts: [HostID]) async throws(Failure) -> [HostID: DriftSpan] {
    try await read("read since when \(hosts.count) hosts differ") { db in
      let latest = try db.cachedStatement(
        sql: """
          SELECT reports.* FROM latest_reports JOIN reports ON reports.id = latest_reports.report
          WHERE latest_reports.host = ?
          """)
      let others = try db.cachedStatement(
        sql: """
          SELECT id, last_seen, ipv4_observed, ipv6_observed, body FROM reports
          JOIN report_bodies ON report_bodies.report = reports.id WHERE host = :host AND id < :id AND (
            ipv4_expected IS NOT :e4 OR ipv4_observed <> :o4 OR ipv6_expected IS NOT :e6 OR ipv6_observed <> :o6)
          ORDER BY id DESC
          """)
      let first = try db.cachedStatement(
        sql: """
          SELECT min(first_seen) FROM reports WHERE host = :host AND id > :before AND ipv4_expected IS :e4
            AND ipv4_observed = :o4 AND ipv6_expected IS :e6 AND ipv6_observed = :o6
          """)
      var spans: [HostID: DriftSpan] = [:]
      for host in hosts {
        guard let row = try Row.fetchOne(latest, arguments: [host.description]) else { continue }
        let id: Int64 = row["id"]
        let sides: StatementArguments = [
          "host": host.description, "e4": row["ipv4_expected"] as Data?, "o4": row["ipv4_observed"] as Data?,
          "e6": row["ipv6_expected"] as Data?, "o6": row["ipv6_observed"] as Data?,
        ]
        // What a change that waited had loaded, and took away again, ends nothing.
        var before: Row?
        let earlier = try Row.fetchCursor(others, arguments: sides + ["id": id])
        while before == nil, let row = try earlier.next() {
          if try Report(encoded: try row.bytes("body")).pending == nil { before = row.copy() }
        }
        let began = try Int64.fetchOne(first, arguments: sides + ["before": before?["id"] as Int64? ?? 0])
        spans[host] = DriftSpan(
          notBefore: before.map { $0.time("last_seen") },
          firstSeen: began.map { UTCTime(column: $0) } ?? row.time("first_seen"),
          lastSeen: row.time("last_seen"), observed: try Self.observed(row), before: try before.map(Self.observed))
      }
      return spans
    }
  }
}
