import Core
import Inventory
import Release
import Testing

@testable import Operations

/// What is printed to be typed again means what the order meant.
struct FreshOrderTests {
  @Test func `the command names the hosts, and says what the order said`() async throws {
    let orders = try SentOrders((1...80).map { "h\($0)" })
    let lock = try await orders.make(.lock, liftsAfter: 7200)
    #expect(lock.again() == "portcullis lockdown start isolate -l 'all' --lifts-after 2h")
    #expect(lock.again(for: ["h1", "h2"]) == "portcullis lockdown start isolate -l 'h[1-2]' --lifts-after 2h")
    #expect(
      lock.again(for: (1...64).map { "h\($0)" }) == "portcullis lockdown start isolate -l 'h[1-64]' --lifts-after 2h")
    // More than an order has room for.
    #expect(lock.again(for: (1...65).map { "h\($0)" }) == "portcullis lockdown start isolate -l 'all' --lifts-after 2h")
    #expect(try await orders.make(.lift).again(approvals: 2) == "portcullis lockdown lift -l 'all' --approvals 2")
    #expect(try await orders.make(.drill).again() == "portcullis lockdown drill isolate -l 'all'")
    #expect(
      try await orders.make(.lock, liftsAfter: 90).again()
        == "portcullis lockdown start isolate -l 'all' --lifts-after 90s")
  }

  @Test(arguments: ["web", "all,!h1", "web,&prod,!h3", "h[1-2]", "!web"])
  func `its pattern means the same hosts`(pattern: String) async throws {
    let orders = try SentOrders(
      "hosts: {h4: {}}, children: {web: {hosts: {h1: {}, h2: {}, h3: {}}}, prod: {hosts: {h2: {}, h3: {}}}}")
    let order = try await orders.make(.lock, pattern)
    let inventory = try orders.inventory()
    #expect(try inventory.hosts(matching: order.terms.scope.pattern) == inventory.hosts(matching: pattern))
  }
}
