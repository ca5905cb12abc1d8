import Core
import Inventory
import Rollout
import Testing

@testable import Operations

/// An order is resumed only where it is the last word, and nobody is said to stand as an older one asked.
struct ResumedOrderTests {
  private let orders: SentOrders
  init() throws { orders = try SentOrders(["h1", "h2", "h3"]) }

  private func resume(_ epoch: UInt64? = nil, all: Bool = false) async throws -> ResumedOrder? {
    try await ResumedOrder.find(
      epoch.map { Epoch($0) }, all: all, try orders.inventory(), orders.store, now: orders.now)
  }

  private func refusal(_ epoch: UInt64? = nil, all: Bool = false) async -> ErrorChain? {
    do {
      _ = try await resume(epoch, all: all)
      return nil
    } catch {
      return ErrorChain(error)
    }
  }

  private func names(_ resumed: ResumedOrder?) -> [String]? { resumed?.hosts.map(\.id.description) }

  @Test func `those that did not obey are left, and with --all everybody`() async throws {
    #expect(try await resume() == nil)
    try await orders.make(.lock, verified: ["h1", "h3"])
    #expect(try await names(resume()) == ["h2"])
    #expect(try await names(resume(1, all: true)) == ["h1", "h2", "h3"])
    try await orders.make(.drill, verified: [])
    #expect(try await resume()?.order.epoch == Epoch(1))
  }

  @Test func `a run that died may have reached whom it says nothing of`() async throws {
    try await orders.make(.lock, verified: ["h1"])
    let resumed = try #require(try await resume())
    let claim = try #require(resumed.earlier[HostID("h2")!])
    #expect(claim.mayHaveHeard, "\(claim)")
  }

  @Test func `where every host obeyed nobody is left, and that is no error`() async throws {
    try await orders.make(.lock, verified: ["h1", "h2", "h3"])
    let resumed = try #require(try await resume())
    #expect(resumed.hosts.isEmpty && resumed.notices.isEmpty)
    // Nor is an earlier one unfinished that others obeyed.
    try await orders.make(.lock, "h1", verified: ["h1"])
    let again = try #require(try await resume(all: true))
    #expect(again.order.epoch == Epoch(2) && names(again) == ["h1"])
  }

  @Test(arguments: [false, true])
  func `an order that was lifted everywhere is resumed nowhere`(all: Bool) async throws {
    try await orders.make(.lock, verified: ["h1", "h2"])
    try await orders.make(.lift, verified: ["h1", "h2"])
    let refused = try #require(await refusal(1, all: all))
    #expect(refused.kind == .refused)
    #expect(refused.line.contains("order 2 was sent since, and is for h[1-3]"))
    #expect(refused.hints.contains { $0.contains("portcullis lockdown start isolate -l 'all'") }, "\(refused.hints)")
  }

  @Test func `hosts that a later order is for are left out, and named with it`() async throws {
    try await orders.make(.lock)
    try await orders.make(.lift, "h1")
    try await orders.make(.lock, "h2")
    let resumed = try #require(try await resume(1))
    #expect(names(resumed) == ["h3"])
    #expect(
      resumed.notices == ["order 2 was sent since, and is for h1", "order 3 was sent since, and is for h2"])
  }

  @Test func `hosts that the inventory has no more obeyed nothing`() async throws {
    try await orders.make(.lock)
    try orders.rewrite("hosts: {h9: {}}")
    #expect(await refusal()?.line.contains("not in the inventory any more: h[1-3]") == true)
    #expect(await refusal(1)?.kind == .refused)
  }

  @Test func `of two that are not finished one must be named`() async throws {
    try await orders.make(.lock, "h1,h2", verified: ["h1"])
    try await orders.make(.lock, "h3")
    let refused = try #require(await refusal())
    #expect(refused.kind == .refused && refused.line.contains("order 2 (1 host), order 1 (1 host)"), "\(refused.line)")
    #expect(
      refused.hints == ["say which: portcullis lockdown resume 2, portcullis lockdown resume 1"], "\(refused.hints)")
    #expect(try await names(resume(1)) == ["h2"])
  }

  @Test func `the one that is not finished is meant, also when it is not the last`() async throws {
    try await orders.make(.lock, "h1", arrivesWithin: -1, unreachable: ["h1"])
    try await orders.make(.lock, "h2")
    try await orders.make(.lock, "h3", verified: ["h3"])
    #expect(try await resume()?.order.epoch == Epoch(2))
  }

  @Test func `hosts that may have obeyed are asked also when the order's time is over`() async throws {
    try await orders.make(.lock, "h1,h2", arrivesWithin: -1, verified: ["h2"])
    try await orders.make(.lock, "h3", verified: ["h3"])
    let resumed = try #require(try await resume())
    #expect(resumed.order.epoch == Epoch(1) && names(resumed) == ["h1"])
    // What may still arrive comes first.
    try await orders.make(.lock, "h2")
    #expect(try await resume()?.order.epoch == Epoch(3))
  }
}
