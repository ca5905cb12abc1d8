package import Audit
package import Core
internal import GRDB
internal import Wire

extension FleetStore {
  /// Keeps what agents remember of changes to their hosts, and up to where they were asked. What is told again is kept
  /// once.
  package func record(changes: [HeardChanges]) async throws(Failure) {
    guard !changes.isEmpty else { return }
    try await write("record changes of \(changes.count) hosts") { db in
      let find = try db.cachedStatement(sql: "SELECT last FROM change_marks WHERE host = ?")
      for heard in changes {
        let host = heard.host.description
        try Self.append(heard, db)
        let mark = try Int64.fetchOne(find, arguments: [host])
        let last = Int64(clamping: heard.changes.last)
        // Who asked for later ones only leaves a gap, which somebody else is to fill.
        guard mark != last, Int64(clamping: heard.after) <= mark ?? 0 else { continue }
        try db.execute(
          sql: "INSERT INTO change_marks (host, last) VALUES (?, ?) ON CONFLICT DO UPDATE SET last = excluded.last",
          arguments: [host, last])
      }
    }
  }

  /// More of one host in a day are only counted: one that means harm could tell of changes without end.
  static let changesADay = 1000

  private static func append(_ heard: HeardChanges, _ db: Database) throws {
    let events = heard.events
    guard !events.isEmpty else { return }
    let today = try Int.fetchOne(
      db, sql: "SELECT count(*) FROM events WHERE host = ? AND kind = ? AND at > ?",
      arguments: [heard.host.description, HostEvent.Kind.changed.rawValue, (heard.at + -86_400).column])
    let kept = events.suffix(max(0, changesADay - (today ?? 0)))
    if kept.count < events.count {
      let lost = heard.lost(events.count - kept.count, "more than \(changesADay) in a day are not kept")
      try append(lost.event, origin: lost.origin, db)
    }
    for told in kept { try append(told.event, origin: told.origin, db) }
  }

  /// Of every host that ever reported.
  package func knownChanges() async throws(Failure) -> [HostID: KnownChanges] {
    try await read("read up to where changes are known") { db in
      var known: [HostID: KnownChanges] = [:]
      let rows = try Row.fetchCursor(
        db,
        sql: """
          SELECT latest_reports.host, ipv4_observed, ipv6_observed, last FROM latest_reports
          JOIN reports ON reports.id = latest_reports.report
          LEFT JOIN change_marks ON change_marks.host = latest_reports.host
          """)
      while let row = try rows.next() {
        known[try row.host()] = KnownChanges(
          last: UInt64(clamping: row["last"] as Int64? ?? 0), observed: try Self.observed(row))
      }
      return known
    }
  }

  /// The last changes of each of these hosts, in the order in which we learnt of them.
  package func changes(of hosts: [HostID]) async throws(Failure) -> [HostID: [HostEvent]] {
    try await read("read who changed \(hosts.count) hosts") { db in
      let find = try db.cachedStatement(
        sql: "SELECT * FROM events WHERE host = ? AND kind = ? ORDER BY id DESC LIMIT \(Self.changesLimit)")
      var changes: [HostID: [HostEvent]] = [:]
      for host in hosts {
        changes[host] = try Row.fetchAll(
          find, arguments: [host.description, HostEvent.Kind.changed.rawValue]
        ).reversed().map(Self.event)
      }
      return changes
    }
  }

  private static let changesLimit = 512

  /// Tells of a host that something keeps changing it back, once after each repair.
  package func alarm(of hosts: [HostID: (repairs: Int, last: UTCTime)], at now: UTCTime) async throws(Failure) {
    guard !hosts.isEmpty else { return }
    try await write("record that \(hosts.count) hosts are changed back again and again") { db in
      for (host, repaired) in hosts.sorted(by: { $0.key < $1.key }) {
        var details = HostEvent.Details()
        details.count = repaired.repairs
        try Self.append(
          HostEvent(host: host, at: now, kind: .alarm, cause: .external, details: details),
          origin: Digest(of: "alarm \(repaired.last)".utf8), db)
      }
    }
  }
}
