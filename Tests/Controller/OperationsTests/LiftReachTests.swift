import Core
import Inventory
import Release
import Testing

@testable import Operations

/// A lift of some hosts must not make void, on others, the lockdown that is on its way to them.
struct LiftReachTests {
  private let orders: SentOrders
  init() throws { orders = try SentOrders(["db1", "web1", "web2"]) }

  private func reach(_ pattern: String, epoch: UInt64? = nil) async throws -> LiftReach {
    try await LiftReach.find(
      try LockScope(pattern, of: orders.inventory()), epoch: epoch.map { Epoch($0) }, of: orders.inventory(),
      orders.store, now: orders.now)
  }

  private func names(_ reach: LiftReach) -> [String] { reach.hosts.map(\.id.description) }

  @Test func `it is brought to every host, so that older orders are void there`() async throws {
    #expect(try await names(reach("web*")) == ["db1", "web1", "web2"])
    try await orders.make(.lock, verified: ["db1", "web1", "web2"])
    #expect(try await names(reach("web*")) == ["db1", "web1", "web2"])
    try await orders.make(.lock, "db1", arrivesWithin: -1)
    #expect(try await names(reach("web*")) == ["db1", "web1", "web2"])
  }

  @Test func `but not where a lockdown is still to be obeyed, which is said`() async throws {
    try await orders.make(.lock, verified: ["web1"])
    let partial = try await reach("web1")
    #expect(names(partial) == ["web1"])
    #expect(
      partial.notices
        == ["not for db1,web2, and not brought there: order 1 is still to be obeyed there"])
    // Of those that it is for, none is spared.
    #expect(try await names(reach("all")) == ["db1", "web1", "web2"])
    try await orders.make(.lift, "db1")
    #expect(try await names(reach("web1")) == ["db1", "web1"])
  }

  @Test func `one that was armed before makes nothing void that was sent since`() async throws {
    try await orders.make(.lift, "web1", isSent: false)
    try await orders.make(.lock, "db1", verified: ["db1"])
    let partial = try await reach("web1", epoch: 1)
    #expect(names(partial) == ["web1", "web2"])
    #expect(partial.notices == ["not for db1, and not brought there: order 2 was sent since, and counts there"])
  }

  @Test func `who was locked and left the inventory is named, since nobody lifts there`() async throws {
    try await orders.make(.lock, verified: ["db1", "web1"])
    try orders.rewrite("hosts: {web1: {}}")
    let all = try await reach("all")
    #expect(all.notices == ["not lifted: db1, which order 1 may hold, and the inventory has no more"])
    #expect(names(all) == ["web1"])
    try orders.rewrite("hosts: {db1: {}, web1: {}}")
    try await orders.make(.lift, verified: ["db1", "web1"])
    try orders.rewrite("hosts: {web1: {}}")
    #expect(try await reach("all").notices == [])
  }
}
