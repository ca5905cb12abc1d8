package import Core
internal import GRDB

extension FleetStore {
  /// The newest release that said something else of at least one of these hosts than the newest of all says now; nil
  /// when none that is kept did.
  package func lastSayingOtherwise(of hosts: some Sequence<HostID> & Sendable) async throws(Failure) -> Serial? {
    try await read("look for what was released before") { db in
      var last: Serial?
      for host in hosts {
        let row = try Row.fetchOne(
          db,
          sql: """
            SELECT max(serial) AS serial FROM bundles WHERE host = :host AND content <>
              (SELECT content FROM bundles WHERE host = :host ORDER BY serial DESC LIMIT 1)
            """, arguments: ["host": host.description])
        guard let found: Int64 = row?["serial"] else { continue }
        last = max(last ?? .none, Serial(column: found))
      }
      return last
    }
  }
}
