package import Core
internal import GRDB

extension FleetStore {
  /// The highest epoch ever given out, `.none` before the first.
  package func lastEpoch() async throws(Failure) -> Epoch {
    try await read("read the last epoch") { Epoch(column: try Self.lastEpoch($0)) }
  }

  /// Gives out the next epoch, which nobody gets again, also when the order is never made or never sent.
  /// - Parameter floor: the highest that was seen elsewhere and can be believed (`Workspace.epochFloor`): hosts obey no
  ///   order that is not above the last they heard.
  package func allocateEpoch(above floor: Epoch = .none) async throws(Failure) -> Epoch {
    try await write("allocate an epoch") { db in
      let last = max(try Self.lastEpoch(db), try floor.column())
      guard last < Int64.max else { throw Reason("there are no epochs left") }
      try db.execute(sql: "UPDATE epoch_counter SET last = ?", arguments: [last + 1])
      return Epoch(column: last + 1)
    }
  }

  /// Of every host that said which order it heard last, from its last report; `.none` is one that never heard any.
  package func heardEpochs() async throws(Failure) -> [Epoch] {
    try await read("read which orders hosts heard") { db in
      try Int64.fetchAll(db, sql: "SELECT heard FROM latest_reports WHERE heard IS NOT NULL").map { Epoch(column: $0) }
    }
  }

  static func lastEpoch(_ db: Database) throws -> Int64 {
    guard let last = try Int64.fetchOne(db, sql: "SELECT last FROM epoch_counter") else {
      throw Reason("the store has lost its epoch counter")
    }
    return last
  }
}
