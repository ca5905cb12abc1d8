import Audit
import Core
import GRDB
import Testing
import Wire

@testable import Store

private func signature(_ principal: String) -> OrderSignature {
  OrderSignature(principal: principal, armored: Array("sig of \(principal)".utf8), added: start + 5, actor: "anna")
}

private func makeOrder(
  _ epoch: Epoch, _ kind: StoredOrder.Kind = .lockdown, threshold: Int = 1, by principals: [String] = ["anna@x"]
) -> StoredOrder {
  StoredOrder(
    epoch: epoch, kind: kind, statement: Array("order \(epoch)".utf8), threshold: threshold, made: start, actor: "anna",
    signatures: principals.map(signature))
}

struct OrderStoreTests {
  let scratch: Scratch
  let store: FleetStore

  init() throws {
    scratch = try Scratch()
    store = try scratch.open()
  }

  /// Kept, with an epoch of its own.
  func kept(
    _ kind: StoredOrder.Kind = .lockdown, threshold: Int = 1, by principals: [String] = ["anna@x"], hosts: Int = 2
  ) async throws -> StoredOrder {
    let order = makeOrder(try await store.allocateEpoch(), kind, threshold: threshold, by: principals)
    try await store.keep(order, for: (0..<hosts).map(host))
    return order
  }

  @Test func `epochs are given out once, above what is known elsewhere, and never fall`() async throws {
    #expect(try await store.lastEpoch() == .none)
    #expect(try await store.allocateEpoch() == Epoch(1))
    #expect(try await store.allocateEpoch(above: Epoch(40)) == Epoch(41))
    #expect(try await store.allocateEpoch(above: Epoch(7)) == Epoch(42))
    await #expect(throws: Failure.self) { try await store.allocateEpoch(above: Epoch(.max)) }
    for sql in ["UPDATE epoch_counter SET last = 3", "DELETE FROM epoch_counter"] {
      let error = #expect(throws: DatabaseError.self) { try store.pool.write { try $0.execute(sql: sql) } }
      #expect(error?.message == "the epoch counter never goes back")
    }
    try store.close()
    #expect(try await scratch.open().lastEpoch() == Epoch(42))
  }

  @Test func `what hosts heard is known without their reports`() async throws {
    var reports = (1...3).map { received(makeReport(host($0)), 0) }
    reports[0].report.lockdown = LockdownReport(lock: nil, heard: Epoch(7), profiles: [], lastLift: nil)
    reports[1].report.lockdown = LockdownReport(lock: nil, heard: Epoch(.max), profiles: [], lastLift: nil)
    try await store.record(reports: reports)
    #expect(try await store.heardEpochs().sorted() == [Epoch(7), Epoch(UInt64(Int64.max))])
    reports[0].report.lockdown?.heard = Epoch(9)
    try await store.record(reports: [reports[0]])
    #expect(try await store.heardEpochs().contains(Epoch(9)))
  }

  @Test func `an order is read back as it was kept, by whoever opens the store next`() async throws {
    let order = try await kept(threshold: 2)
    #expect(order.signaturesMissing == 1)
    try store.close()
    let again = try scratch.open()
    #expect(try await again.order(order.epoch) == order)
    #expect(try await again.hosts(of: order.epoch) == [host(0), host(1)])
    #expect(try await again.order(Epoch(2)) == nil)
    #expect(try await again.order(Epoch(.max)) == nil)
  }

  @Test func `an epoch that was not given out, or was used, is no order's`() async throws {
    await #expect(throws: Failure.self) { try await store.keep(makeOrder(Epoch(1)), for: []) }
    let order = try await kept()
    await #expect(throws: Failure.self) { try await store.keep(makeOrder(order.epoch, .unlock), for: []) }
    #expect(try await store.order(order.epoch) == order)
  }

  @Test func `what was signed is never changed nor forgotten`() async throws {
    let order = try await kept()
    for sql in [
      "UPDATE orders SET statement = x'00'", "UPDATE orders SET threshold = 2, sent = 1", "DELETE FROM orders",
      "INSERT OR REPLACE INTO orders SELECT epoch, 'unlock', statement, threshold, made, actor, NULL FROM orders",
      "UPDATE order_signatures SET armored = x'00'", "DELETE FROM order_signatures",
      "INSERT OR REPLACE INTO order_signatures SELECT epoch, principal, x'00', added, actor FROM order_signatures",
    ] {
      #expect(throws: DatabaseError.self, "\(sql)") { try store.pool.write { try $0.execute(sql: sql) } }
    }
    #expect(try await store.order(order.epoch) == order)
  }

  @Test func `a person signs once`() async throws {
    let order = try await kept(threshold: 2)
    #expect(try await !store.add(signature("anna@x"), to: order.epoch))
    #expect(try await store.add(signature("bert@x"), to: order.epoch))
    #expect(try await store.order(order.epoch)?.signatures.map(\.principal) == ["anna@x", "bert@x"])
    let unknown = await #expect(throws: Failure.self) { try await store.add(signature("bert@x"), to: Epoch(99)) }
    #expect(unknown?.kind == .usage)
  }

  @Test func `an order is sent only when enough have signed, and then as it is`() async throws {
    let order = try await kept(threshold: 2)
    let early = await #expect(throws: Failure.self) {
      try await store.markSent(order.epoch, to: [host(5)], at: start + 60)
    }
    #expect(early?.kind == .refused)
    #expect(early.map(message)?.contains("1 of 2 people have signed it") == true)
    _ = try await store.add(signature("bert@x"), to: order.epoch)
    try await store.markSent(order.epoch, to: [host(5), host(4)], at: start + 60)
    #expect(try await store.hosts(of: order.epoch) == [host(4), host(5)])
    #expect(try await store.order(order.epoch)?.state == .sent(start + 60))
    await #expect(throws: Failure.self) { try await store.add(signature("cora@x"), to: order.epoch) }
    try await store.markSent(order.epoch, to: [host(6)], at: start + 90)
    #expect(try await store.order(order.epoch)?.state == .sent(start + 60))
    #expect(try await store.hosts(of: order.epoch) == [host(4), host(5), host(6)])
  }

  @Test func `an armed order is stale once a later one was sent to a host of it, but for drills`() async throws {
    let armed = try await kept()
    let drill = try await kept(.drill)
    try await store.markSent(drill.epoch, to: [host(0)], at: start)
    #expect(try await store.order(armed.epoch)?.state == .armed)
    let elsewhere = try await kept(.unlock)
    try await store.markSent(elsewhere.epoch, to: [host(7)], at: start)
    #expect(try await store.order(armed.epoch)?.state == .armed)
    let unlock = try await kept(.unlock)
    try await store.markSent(unlock.epoch, to: [host(0)], at: start)
    #expect(try await store.order(armed.epoch)?.state == .stale(later: unlock.epoch))
    let error = await #expect(throws: Failure.self) {
      try await store.markSent(armed.epoch, to: [host(0)], at: start)
    }
    #expect(error?.kind == .refused)
  }

  @Test func `orders are told newest first, of the kinds asked for`() async throws {
    for kind in StoredOrder.Kind.allCases + [.lockdown] { _ = try await kept(kind) }
    #expect(try await store.orders().map(\.epoch.value) == [4, 3, 2, 1])
    #expect(try await store.orders(of: [.lockdown], newest: 1).map(\.epoch.value) == [4])
    #expect(try await store.orders(of: [.drill, .unlock]).map(\.kind) == [.unlock, .drill])
  }

  @Test func `a host's last outcome stands, each kind as it was`() async throws {
    let order = try await kept(hosts: 5)
    try await store.markSent(order.epoch, to: (0..<5).map(host), at: start)
    let lock = OrderOutcome.Lock(epoch: order.epoch, order: Digest(of: "order".utf8))
    let outcomes = [
      OrderOutcome(
        host: host(0), at: start + 1, kind: .verified, result: .locked, lock: lock, flowsCut: .max,
        microseconds: 61_000, warnings: ["one", "two"]),
      OrderOutcome(host: host(1), at: start + 1, kind: .acknowledged, result: .locking),
      OrderOutcome(host: host(2), at: start + 1, kind: .refused(code: "profileMissing", words: "release 11 has none")),
      OrderOutcome(host: host(3), at: start + 1, kind: .unreachable(words: "no route to host")),
    ]
    try await store.record(outcomes: outcomes, of: order.epoch)
    #expect(try await store.outcomes(of: order.epoch) == outcomes)
    let later = OrderOutcome(host: host(3), at: start + 9, kind: .unsure(words: "the connection was lost"))
    try await store.record(outcomes: [later], of: order.epoch)
    #expect(try await store.outcomes(of: order.epoch) == outcomes.dropLast() + [later])
    await #expect(throws: Failure.self) {
      try await store.record(
        outcomes: [OrderOutcome(host: host(9), at: start, kind: .verified)], of: order.epoch)
    }
  }

  @Test func `why a host refused stays known when it is silent later, until it answers`() async throws {
    let order = try await kept()
    try await store.markSent(order.epoch, to: [host(0), host(1)], at: start)
    func record(_ kind: OrderOutcome.Kind, after seconds: Int64) async throws -> OrderOutcome? {
      let outcome = OrderOutcome(host: host(0), at: start + seconds, kind: kind)
      try await store.record(outcomes: [outcome], of: order.epoch)
      return try await store.outcomes(of: order.epoch).first
    }
    let refused = OrderOutcome.Kind.refused(code: "wouldLoosen", words: "rank 10 is below 30")
    #expect(try await record(refused, after: 1)?.kind == refused)
    #expect(try await record(.unreachable(words: "it had to arrive before"), after: 2)?.kind == refused)
    #expect(try await record(.verified, after: 3)?.kind == .verified)
  }

  @Test(arguments: [OrderOutcome.Kind.verified, .acknowledged, .unsure(words: "the connection was lost")])
  func `silence of one run takes no answer's place that another had`(kind: OrderOutcome.Kind) async throws {
    let order = try await kept()
    try await store.markSent(order.epoch, to: [host(0), host(1)], at: start)
    let silence = OrderOutcome.Kind.unreachable(words: "interrupted")
    for (said, known) in [(silence, silence), (kind, kind), (silence, kind)] {
      try await store.record(outcomes: [OrderOutcome(host: host(0), at: start + 1, kind: said)], of: order.epoch)
      #expect(try await store.outcomes(of: order.epoch).first?.kind == known)
    }
  }

  @Test func `a run that died says nothing of its hosts, and they may have heard it`() async throws {
    try await store.record(reports: [received(makeReport(host(0)), 0), received(makeReport(host(1)), 90)])
    let order = makeOrder(try await store.allocateEpoch())
    try await store.keep(order, for: [host(0), host(1)])
    try await store.markSent(order.epoch, to: [host(0), host(1)], at: start + 60)
    // The other reported since.
    #expect(try await store.ordersSinceReports().map(\.outcomes) == [[host(0): .unsure(words: "")]])
  }

  @Test func `the last order that a host heard as one for it is known`() async throws {
    for result in [Obeyed.Result.locked, .outOfScope] {
      let order = makeOrder(try await store.allocateEpoch())
      try await store.keep(order, for: [host(0), host(1)])
      try await store.markSent(order.epoch, to: [host(0), host(1)], at: start)
      let outcomes = [
        OrderOutcome(host: host(0), at: start, kind: .verified, result: result),
        OrderOutcome(host: host(1), at: start, kind: .unreachable(words: "no route to host")),
      ]
      try await store.record(outcomes: outcomes, of: order.epoch)
    }
    #expect(try await store.newestHeard() == [host(0): Epoch(1)])
  }

  @Test func `what ten thousand hosts heard since they reported is read in time that grows with them`() async throws {
    let hosts = (0..<10_000).map(host)
    try await store.record(reports: hosts.map { received(makeReport($0), 0) })
    let order = makeOrder(try await store.allocateEpoch())
    try await store.keep(order, for: hosts)
    try await store.markSent(order.epoch, to: hosts, at: start + 60)
    try await store.record(
      outcomes: hosts.map { OrderOutcome(host: $0, at: start + 61, kind: .verified) }, of: order.epoch)
    let time = try await ContinuousClock().measure {
      let since = try await store.ordersSinceReports()
      #expect(since.map(\.outcomes.count) == [10_000])
    }
    print("orders of 10,000 hosts since they reported: \(time)")
    // A second on a quiet machine; a look at all reports for each host would take many minutes.
    #expect(time < .seconds(60))
  }
}
