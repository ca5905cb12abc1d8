package import Core
internal import GRDB

extension FleetStore {
  /// The highest serial ever given out, `.none` before the first.
  package func lastSerial() async throws(Failure) -> Serial {
    try await read("read the last serial") { Serial(column: try Self.lastSerial($0)) }
  }

  /// Gives out the next serial, which nobody gets again, also when the release is never made.
  /// - Parameter floor: the highest serial seen elsewhere, as in a host's report: a controller whose store was lost must
  ///   not start again below what its hosts hold.
  /// - Parameter planned: the last serial when it was decided what to release; nil: whatever it was.
  /// - Throws: when a release was begun since then: this one would undo it unseen.
  package func allocateSerial(
    above floor: Serial = .none, after planned: Serial? = nil
  ) async throws(Failure) -> Serial {
    try await write("allocate a serial") { db in
      let given = try Self.lastSerial(db)
      if let planned, given != planned.clampedColumn {
        throw Failure(
          "make a release", because: Reason("the plan is stale: release \(Serial(column: given)) was begun since"),
          hint: "look at a new plan, and approve that", kind: .refused)
      }
      let last = max(given, try floor.column())
      guard last < Int64.max else { throw Reason("there are no serials left") }
      try db.execute(sql: "UPDATE serial_counter SET last = ?", arguments: [last + 1])
      return Serial(column: last + 1)
    }
  }

  static func lastSerial(_ db: Database) throws -> Int64 {
    guard let last = try Int64.fetchOne(db, sql: "SELECT last FROM serial_counter") else {
      throw Reason("the store has lost its serial counter")
    }
    return last
  }
}
