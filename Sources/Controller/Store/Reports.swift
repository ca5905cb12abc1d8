package import Audit
package import Core
internal import Foundation
internal import GRDB
package import Wire

/// A stretch of time in which a host said the same, apart from its clock.
package struct ReportPeriod: Hashable, Sendable {
  package var report: Report
  package var firstSeen: UTCTime
  package var lastSeen: UTCTime
}

extension FleetStore {
  /// Keeps what hosts said, in the order given, with what happened to them since, all or nothing. A report that says the same as the host's last one only
  /// prolongs it: a sweep over a fleet in which nothing changes adds nothing to the file. Order is arrival, not time, so
  /// that a clock set back does not hide what came after.
  /// - Parameter deed: what we had done to these hosts when they reported.
  package func record(reports: [ReceivedReport], after deed: OurDeed = .asked) async throws(Failure) {
    guard !reports.isEmpty else { return }
    try await write("record \(reports.count) reports") { db in
      let find = try db.cachedStatement(
        sql: """
          SELECT reports.id, reports.host, sameness, host_time FROM latest_reports JOIN reports ON reports.id = latest_reports.report
          WHERE latest_reports.host = ?
          """)
      let findBody = try db.cachedStatement(sql: "SELECT body FROM report_bodies WHERE report = ?")
      let prolong = try db.cachedStatement(sql: "UPDATE reports SET last_seen = ?, host_time = ? WHERE id = ?")
      let insert = try db.cachedStatement(
        sql: """
          INSERT INTO reports (host, first_seen, last_seen, host_time, sameness, serial, manifest, content,
            ipv4_expected, ipv4_observed, ipv4_save, ipv6_expected, ipv6_observed, ipv6_save)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          """)
      let insertBody = try db.cachedStatement(sql: "INSERT INTO report_bodies (report, body) VALUES (?, ?)")
      // A host that reports was reached. Times alone could not tell: several things happen in one second.
      let forgetFailure = try db.cachedStatement(sql: "DELETE FROM contact_failures WHERE host = ?")
      let setLatest = try db.cachedStatement(
        sql: """
          INSERT INTO latest_reports (host, report, heard) VALUES (?, ?, ?)
          ON CONFLICT DO UPDATE SET report = excluded.report, heard = excluded.heard
          """)

      for received in reports {
        let report = received.report
        let host = report.host.description
        let sameness = Self.sameness(of: report)
        try forgetFailure.execute(arguments: [host])
        if db.changesCount > 0 {
          try Self.append(
            [HostEvent(host: report.host, at: received.receivedAt, kind: .reached, cause: .external)], db)
        }
        let last = try Row.fetchOne(find, arguments: [host])
        if let last, try last.digest("sameness") == sameness {
          try prolong.execute(arguments: [received.receivedAt.column, report.time.column, last["id"] as Int64])
          continue
        }
        let previous = try last.flatMap { last in
          try Row.fetchOne(findBody, arguments: [last["id"] as Int64]).map { try Self.report($0, of: last) }
        }
        let hold = try Self.hold(of: host, db)
        let deed = try Self.deed(deed, that: report.committed, after: previous?.committed, db)
        try Self.append(Timeline(from: previous, held: hold, to: received, after: deed).events(), db)
        let ipv4 = report.families.ipv4
        let ipv6 = report.families.ipv6
        try insert.execute(arguments: [
          host, received.receivedAt.column, received.receivedAt.column, report.time.column, sameness.column,
          report.committed?.serial.clampedColumn, report.committed?.manifest.column, report.committed?.content.column,
          ipv4.expected?.column, ipv4.observed.column, ipv4.save.column,
          ipv6.expected?.column, ipv6.observed.column, ipv6.save.column,
        ])
        let id = db.lastInsertedRowID
        try insertBody.execute(arguments: [id, Data(report.encode())])
        try setLatest.execute(arguments: [host, id, report.lockdown?.heard.clampedColumn])
      }
    }
  }

  /// A repair that somebody confirmed, or that was interrupted and is learnt of later, is still one.
  private static func deed(
    _ deed: OurDeed, that committed: Committed?, after before: Committed?, _ db: Database
  ) throws -> OurDeed {
    guard deed == .asked || deed == .applied, let serial = committed?.serial, committed != before else { return deed }
    let find = try db.cachedStatement(sql: "SELECT verb FROM runs WHERE serial = ? ORDER BY id LIMIT 1")
    let verb = try String.fetchOne(find, arguments: [serial.clampedColumn])
    return verb.map { OurDeed(verb: $0) } == .repaired ? .repaired : deed
  }

  /// Remembers for each host that we could not reach it; only the last time is kept, and that it happened.
  package func record(contactFailures: [HostID: ContactFailure]) async throws(Failure) {
    guard !contactFailures.isEmpty else { return }
    try await write("record \(contactFailures.count) unreachable hosts") { db in
      let isKnown = try db.cachedStatement(sql: "SELECT 1 FROM contact_failures WHERE host = ?")
      for (host, failure) in contactFailures.sorted(by: { $0.key < $1.key }) {
        if try Row.fetchOne(isKnown, arguments: [host.description]) == nil {
          try Self.append(
            [HostEvent(host: host, at: failure.at, kind: .unreachable, cause: .external, reason: failure.reason)], db)
        }
        try db.execute(
          literal: """
            INSERT INTO contact_failures (host, at, reason)
            VALUES (\(host.description), \(failure.at.column), \(failure.reason))
            ON CONFLICT DO UPDATE SET at = excluded.at, reason = excluded.reason
            """)
      }
    }
  }

  /// Remembers for each host how the last delivery ended.
  package func record(attempts: [HostID: DeliveryAttempt]) async throws(Failure) {
    guard !attempts.isEmpty else { return }
    try await write("record \(attempts.count) deliveries") { db in
      for (host, attempt) in attempts.sorted(by: { $0.key < $1.key }) {
        try db.execute(
          literal: """
            INSERT INTO attempts (host, content, serial, result, detail, at)
            VALUES (\(host.description), \(attempt.content.column), \(attempt.serial.clampedColumn),
              \(attempt.result.rawValue), \(attempt.detail), \(attempt.at.column))
            ON CONFLICT DO UPDATE SET content = excluded.content, serial = excluded.serial, result = excluded.result,
              detail = excluded.detail, at = excluded.at
            """)
      }
    }
  }

  /// All that is known of every host, at one moment.
  package func observations() async throws(Failure) -> [HostID: HostObservation] {
    try await read("read what hosts said last") { db in
      var known: [HostID: HostObservation] = [:]
      let reports = try Row.fetchCursor(
        db,
        sql: """
          SELECT reports.host, last_seen, host_time, body FROM latest_reports
          JOIN reports ON reports.id = latest_reports.report JOIN report_bodies ON report_bodies.report = reports.id
          """)
      while let row = try reports.next() {
        known[try row.host(), default: .init()].lastReport = ReceivedReport(
          try Self.report(in: row), receivedAt: row.time("last_seen"))
      }
      let failures = try Row.fetchCursor(db, sql: "SELECT host, at, reason FROM contact_failures")
      while let row = try failures.next() {
        known[try row.host(), default: .init()].lastContactFailure = ContactFailure(
          at: row.time("at"), reason: row["reason"])
      }
      let attempts = try Row.fetchCursor(db, sql: "SELECT host, content, serial, result, detail, at FROM attempts")
      while let row = try attempts.next() {
        guard let result = DeliveryAttempt.Result(rawValue: row["result"]) else {
          throw Reason("the store has a delivery with an unknown result")
        }
        known[try row.host(), default: .init()].lastAttempt = DeliveryAttempt(
          content: try row.digest("content"), serial: Serial(column: row["serial"]), result: result,
          detail: row["detail"], at: row.time("at"))
      }
      try Self.addDifferences(db, to: &known)
      return known
    }
  }

  /// What a host said over time, the newest first.
  package func history(of host: HostID, limit: Int = 100) async throws(Failure) -> [ReportPeriod] {
    try await read("read the history of \(host)") { db in
      try Row.fetchAll(
        db,
        sql: """
          SELECT reports.host, first_seen, last_seen, host_time, body FROM reports
          JOIN report_bodies ON report_bodies.report = reports.id WHERE host = ? ORDER BY id DESC LIMIT ?
          """, arguments: [host.description, limit]
      ).map { row in
        ReportPeriod(
          report: try Self.report(in: row), firstSeen: row.time("first_seen"), lastSeen: row.time("last_seen"))
      }
    }
  }

  /// Forgets reports last seen before that moment, but never a host's last one.
  /// - Returns: how many were forgotten.
  @discardableResult
  package func pruneReports(lastSeenBefore moment: UTCTime) async throws(Failure) -> Int {
    try await write("forget reports from before \(moment)") { db in
      try db.execute(
        sql: "DELETE FROM reports WHERE last_seen < ? AND id NOT IN (SELECT report FROM latest_reports)",
        arguments: [moment.column])
      return db.changesCount
    }
  }

  /// Of everything a report says but the nonce it answers and the time on the host's clock.
  static func sameness(of report: Report) -> Digest {
    var report = report
    report.nonce = zeroNonce
    report.time = UTCTime(secondsSinceEpoch: 0)
    return Digest(of: report.encode())
  }

  private static let zeroNonce = Nonce(bytes: [UInt8](repeating: 0, count: Nonce.byteCount))!

  private static func report(in row: Row) throws -> Report { try report(row, of: row) }

  private static func report(_ body: Row, of row: Row) throws -> Report {
    do {
      var report = try Report(encoded: try body.bytes("body"))
      report.time = row.time("host_time")
      return report
    } catch {
      throw Failure("read the stored report of \(try row.host())", because: error)
    }
  }
}
