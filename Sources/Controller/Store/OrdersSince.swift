package import Core
internal import GRDB

extension FleetStore {
  /// More orders than that since a host last reported are of no use to anybody.
  private static let rememberedOrders = 16

  /// The last orders that were sent, drills aside, the newest first; each with what came of it on the hosts that have not
  /// reported since, which is unsure where nobody wrote it down (yet).
  package func ordersSinceReports() async throws(Failure) -> [(
    order: StoredOrder, outcomes: [HostID: OrderOutcome.Kind]
  )] {
    let orders = try await orders(of: [.lockdown, .unlock], newest: Self.rememberedOrders)
    return try await read("read which orders hosts heard since they reported") { db in
      // Times are whole seconds: in the same one, a report that knows of the order came after it.
      let find = try db.cachedStatement(
        sql: """
          SELECT order_hosts.* FROM order_hosts
          LEFT JOIN latest_reports ON latest_reports.host = order_hosts.host
          LEFT JOIN reports ON reports.id = latest_reports.report
          JOIN orders ON orders.epoch = order_hosts.epoch
          WHERE order_hosts.epoch = ?1
            AND (last_seen IS NULL OR ifnull(at, sent) >= last_seen AND ifnull(heard, 0) < ?1)
          """)
      return try orders.filter { if case .sent = $0.state { true } else { false } }.map { order in
        var outcomes: [HostID: OrderOutcome.Kind] = [:]
        let rows = try Row.fetchCursor(find, arguments: [try order.epoch.column()])
        while let row = try rows.next() {
          let isKnown = row["outcome"] as String? != nil
          outcomes[try row.host()] = isKnown ? try Self.outcome(row).kind : .unsure(words: "")
        }
        return (order, outcomes)
      }
    }
  }

  /// The manifest of the newest bundle that a release has for each of these hosts, where it brings lockdown profiles.
  package func manifestsWithProfiles(of hosts: [HostID]) async throws(Failure) -> [HostID: [UInt8]] {
    guard !hosts.isEmpty else { return [:] }
    return try await read("read which profiles \(hosts.count) hosts are to have") { db in
      let find = try db.cachedStatement(
        sql: "SELECT manifest, profiles FROM bundles WHERE host = ? ORDER BY serial DESC LIMIT 1")
      var manifests: [HostID: [UInt8]] = [:]
      for host in hosts {
        guard let row = try Row.fetchOne(find, arguments: [host.description]), row.hasNull(atIndex: 1) == false else {
          continue
        }
        manifests[host] = try row.bytes("manifest")
      }
      return manifests
    }
  }
}
