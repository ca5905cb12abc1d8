import Audit
import Core
import Release
import Rollout
import Store
import Testing
import Wire

@testable import Console
@testable import Operations

/// What people read on the bad day, compared with Golden/*.txt word for word.
struct BroadcastDocumentTests {
  private static let isolate = ProfileName("isolate")!
  private static let issued = UTCTime("2026-11-22T02:11:09Z")!
  private static let hosts = (1...200).map { HostID("web\(String(repeating: "0", count: 3 - "\($0)".count))\($0)")! }

  static func sealed(_ kind: StoredOrder.Kind, _ epoch: UInt64, _ reason: String) throws -> SealedOrder {
    let terms = try OrderTerms(
      fleet: FleetID("example")!, epoch: Epoch(epoch), scope: LockScope(any: ["web"]), issued: issued,
      arriveBy: issued + 3600, reason: reason)
    let statement =
      switch kind {
      case .lockdown, .drill:
        try LockdownOrder(terms: terms, isDrill: kind == .drill, profile: isolate, liftsAfter: nil).encode()
      case .unlock: try UnlockOrder(terms: terms).encode()
      }
    return try SealedOrder(
      StoredOrder(
        epoch: Epoch(epoch), kind: kind, statement: statement, threshold: 1, made: issued, actor: "anna",
        signatures: []))
  }

  /// - Parameter numbers: of the hosts it is brought to.
  private static func tally(
    _ result: Obeyed.Result, _ others: [(Int, OrderClaim)], to numbers: some Sequence<Int> = 1...200
  ) -> OrderTally {
    let indices = numbers.map { $0 - 1 }
    var tally = OrderTally(Dictionary(uniqueKeysWithValues: indices.map { (hosts[$0], .waiting) }))
    for index in indices {
      let host = hosts[index]
      let other = others.first { $0.0 == index + 1 }?.1
      let warnings = index == 41 ? ["the order came from 192.0.2.77, which the profile does not let in"] : []
      let obeyed = Obeyed(
        epoch: Epoch(7), result: result, lock: nil, flowsCut: UInt32(index % 7), warnings: warnings)
      tally.note(other ?? .verified(obeyed), of: host, after: .milliseconds(40 + index * index / 50))
    }
    return tally
  }

  private static let mishaps: [(Int, OrderClaim)] = [
    (17, .unreachable("connect to web017 (192.0.2.17:22): no route to host")),
    (18, .unreachable("connect to web018 (192.0.2.18:22): no route to host")),
    (44, .unsure("read from web044: the connection was closed")),
    (93, .refused(.unknownProfile, "release 11 has no lockdown profile isolate for this host")),
  ]

  @Test func `what came of orders reads as it is written down`() throws {
    let start = try Self.sealed(.lockdown, 7, "INC-991 stolen deploy key")
    var tally = Self.tally(.locked, Self.mishaps)
    try Golden.compare(BroadcastDocument(start, tally, isLate: false), "lockdown-start", [.text])
    let few = Self.tally(.locked, Self.mishaps, to: [17, 42, 44, 93])
    try Golden.compare(BroadcastDocument(start, few, isLate: false), "lockdown-start", [.json])
    tally.interrupted = true
    try Golden.compare(BroadcastDocument(start, tally, isLate: false), "lockdown-interrupted", [.text])
    let late = Self.mishaps.map { number, claim in
      if case .unreachable(let words) = claim {
        return (
          number, OrderClaim.notAsked("order 7 had to arrive by \(start.arriveBy): it needs a fresh order; \(words)")
        )
      }
      return (number, claim)
    }
    try Golden.compare(
      BroadcastDocument(start, Self.tally(.repeated, late), isLate: true), "lockdown-late", [.text])
    try Golden.compare(
      BroadcastDocument(try Self.sealed(.drill, 9, "-"), Self.tally(.drilled, Self.mishaps), isLate: false),
      "lockdown-drill", [.text])
    try Golden.compare(
      BroadcastDocument(
        try Self.sealed(.unlock, 8, "INC-991 closed"), Self.tally(.lifted, []), isLate: false),
      "lockdown-lift", [.text])
  }

  /// `db1` and `db2` are to stay shut, `web018` has been given another order since.
  @Test func `a partial lift that came too late tells how to open those that it is for, and nobody else`() throws {
    let lift = try Self.sealed(.unlock, 8, "INC-991 closed")
    let late = "order 8 had to arrive by \(lift.arriveBy)"
    var tally = Self.tally(
      .lifted,
      [
        (17, .notAsked("\(late): it needs a fresh order; no route to host")),
        (18, .overtaken(by: Epoch(9), mayHaveHeard: false)),
      ], to: 1...20)
    let (shut, silent) = (HostID("db1")!, HostID("db2")!)
    tally.outside = [shut, silent]
    tally.note(.notMeant(Obeyed(epoch: Epoch(8), result: .outOfScope, lock: nil)), of: shut, after: .milliseconds(50))
    tally.note(.notAsked("\(late), and is not for it; no route to host"), of: silent, after: .milliseconds(50))
    let document = BroadcastDocument(lift, tally, isLate: true)
    #expect(document.counts["verified"] == 18 && document.counts["not_meant"] == 1)
    #expect(document.hosts.first { $0.name == "db1" }?.outcome == "not-meant")
    try Golden.compare(document, "lockdown-lift-late", [.text])
  }

  @Test func `how hosts stand reads as it is written down`() throws {
    let order = Digest(of: Array("order 7".utf8))
    func report(_ number: Int) -> LockdownReport? {
      if number == 3 { return nil }
      var lock = LockReport(
        epoch: Epoch(7), order: order, profile: Self.isolate, rank: LockRank(30)!, principals: ["anna@example.net"],
        reason: "INC-991 stolen deploy key", phase: .locked, since: Self.issued + 1, secondsLeft: 6480,
        serial: Serial(11), differences: PerFamily(ipv4: nil, ipv6: nil))
      if number == 60 { lock.differences.ipv4 = "PCLLOCK-INPUT has no rules" }
      let problem = number == 93 ? "its files are missing" : nil
      return LockdownReport(
        lock: [61, 62, 93].contains(number) ? nil : lock, heard: Epoch(number == 93 ? 6 : 7),
        profiles: [.init(name: Self.isolate, rank: LockRank(30)!, problem: problem)],
        lastLift: number == 61
          ? LiftReport(epoch: Epoch(7), cause: .console("console is all I have"), at: Self.issued + 60)
          : number == 62 ? LiftReport(epoch: Epoch(7), cause: .itself, at: Self.issued + 7200) : nil)
    }
    let standings = Self.hosts.enumerated().filter { $0.offset != 16 }.map { index, host in
      LockStanding(
        host, report(index + 1), expected: .locked(Epoch(7), order: order),
        refusal: index == 92 ? "profileMissing: its files are missing" : nil)
    }
    let looked = LockdownStanding.Looked(
      standings: standings, unreachable: [Self.hosts[16]: "connect to web017 (192.0.2.17:22): no route to host"],
      armed: [.init(order: try Self.sealed(.lockdown, 12, "-"), signatures: 1, threshold: 2)])
    let document = LockdownStatusDocument(looked)
    #expect(document.exitCode == 4)
    try Golden.compare(document, "lockdown-status", [.text])
    try Golden.compare(
      LockdownStatusDocument(.init(standings: Array(standings[58..<62]), unreachable: [:], armed: [])),
      "lockdown-status-few",
      [.text, .json])
  }
}
