package import Core
internal import GRDB

/// One use of a verb that asked hosts for something.
package struct RunID: Hashable, Sendable, CustomStringConvertible {
  package let value: Int64
  package init(_ value: Int64) { self.value = value }
  package var description: String { String(value) }
}

package struct RunRecord: Hashable, Sendable {
  package var id: RunID
  package var verb: String
  /// Who started it, as far as the machine can tell.
  package var actor: String
  package var reason: String
  package var serial: Serial?
  package var started: UTCTime
  /// Nil while it runs, and for ever if it was killed.
  package var ended: UTCTime?
  package var exitCode: Int32?
}

package struct RunHostResult: Hashable, Sendable {
  package var host: HostID
  package var result: String
  package var detail: String
  package init(host: HostID, result: String, detail: String) {
    self.host = host
    self.result = result
    self.detail = detail
  }
}

extension FleetStore {
  package func beginRun(
    verb: String, actor: String, reason: String, serial: Serial?, at time: UTCTime
  ) async throws(Failure) -> RunID {
    try await write("record the start of \(verb)") { db in
      try db.execute(
        literal: """
          INSERT INTO runs (verb, actor, reason, serial, started)
          VALUES (\(verb), \(actor), \(reason), \(serial?.column()), \(time.column))
          """)
      return RunID(db.lastInsertedRowID)
    }
  }

  /// A result for a host that has one in this run replaces it.
  package func record(run: RunID, results: [RunHostResult]) async throws(Failure) {
    guard !results.isEmpty else { return }
    try await write("record results of run \(run)") { db in
      let insert = try db.cachedStatement(
        sql: "INSERT OR REPLACE INTO run_hosts (run, host, result, detail) VALUES (?, ?, ?, ?)")
      for result in results {
        try insert.execute(arguments: [run.value, result.host.description, result.result, result.detail])
      }
    }
  }

  package func endRun(_ run: RunID, exitCode: Int32, at time: UTCTime) async throws(Failure) {
    try await write("record the end of run \(run)") { db in
      try db.execute(
        literal:
          "UPDATE runs SET ended = \(time.column), exit_code = \(exitCode) WHERE id = \(run.value) AND ended IS NULL")
      guard db.changesCount == 1 else { throw Reason("it is unknown or has ended before") }
    }
  }

  /// The newest first.
  package func runs(limit: Int = 100) async throws(Failure) -> [RunRecord] {
    try await read("read the runs") { db in
      try Row.fetchAll(db, sql: "SELECT * FROM runs ORDER BY id DESC LIMIT ?", arguments: [limit]).map { row in
        RunRecord(
          id: RunID(row["id"]), verb: row["verb"], actor: row["actor"], reason: row["reason"],
          serial: (row["serial"] as Int64?).map { Serial(column: $0) }, started: row.time("started"),
          ended: (row["ended"] as Int64?).map { UTCTime(column: $0) }, exitCode: row["exit_code"])
      }
    }
  }

  /// When runs of this verb, begun since then, brought each host something, whatever came of it.
  package func timesTried(by verb: String, since moment: UTCTime) async throws(Failure) -> [HostID: [UTCTime]] {
    try await read("read the runs of \(verb)") { db in
      var times: [HostID: [UTCTime]] = [:]
      let rows = try Row.fetchCursor(
        db,
        sql: """
          SELECT host, started FROM runs JOIN run_hosts ON run_hosts.run = runs.id
          WHERE verb = ? AND started > ? AND result <> 'pending'
          """, arguments: [verb, moment.column])
      while let row = try rows.next() { times[try row.host(), default: []].append(row.time("started")) }
      return times
    }
  }

  /// By host.
  package func results(of run: RunID) async throws(Failure) -> [RunHostResult] {
    try await read("read the results of run \(run)") { db in
      try Row.fetchAll(
        db, sql: "SELECT host, result, detail FROM run_hosts WHERE run = ? ORDER BY host", arguments: [run.value]
      ).map { RunHostResult(host: try $0.host(), result: $0["result"], detail: $0["detail"]) }
    }
  }

  /// Forgets runs begun before that moment, with their results.
  package func pruneRuns(before moment: UTCTime) async throws(Failure) {
    try await write("forget runs from before \(moment)") { db in
      try db.execute(sql: "DELETE FROM runs WHERE started < ?", arguments: [moment.column])
    }
  }
}
