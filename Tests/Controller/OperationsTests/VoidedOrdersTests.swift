import Core
import Inventory
import Testing

@testable import Operations

/// Whoever sends an order learns which ones nobody can send after it.
struct VoidedOrdersTests {
  private let orders: SentOrders
  init() throws { orders = try SentOrders(["db1", "web1"]) }

  private func notices(_ hosts: String..., by epoch: UInt64? = nil) async throws -> [String] {
    try await VoidedOrders.notices(
      orders.store, by: epoch.map { Epoch($0) }, broughtTo: hosts.map { HostID($0)! }, now: orders.now)
  }

  @Test func `armed orders for one of its hosts are named`() async throws {
    try await orders.make(.lock, "db1", isSent: false)
    let told = "order 1 (isolate), armed and signed by 1 person, cannot be sent after this"
    #expect(try await notices("db1", "web1") == [told])
    #expect(try await notices("db1", by: 2) == [told])
    #expect(try await notices("web1") == [])
    // It does not make itself void, nor what came after it.
    #expect(try await notices("db1", by: 1) == [])
  }

  @Test func `those that were sent, are void already or too late are not`() async throws {
    try await orders.make(.lock, "web1", isSent: false)
    try await orders.make(.lift)
    try await orders.make(.lock, "db1", arrivesWithin: -1, isSent: false)
    #expect(try await notices("db1", "web1") == [])
  }
}
