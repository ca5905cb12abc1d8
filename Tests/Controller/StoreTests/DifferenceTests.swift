import Audit
import Core
import GRDB
import Testing
import Wire

@testable import Store

struct DifferenceTests {
  private func drift(_ number: Int, _ rule: String) -> HostDrift {
    func text(_ rules: String) -> [UInt8] { Array("*filter\n:INPUT DROP [0:0]\n\(rules)COMMIT\n".utf8) }
    return HostDrift(
      host: host(number),
      texts: PerFamily { _ in DriftTexts(expected: text(""), observed: text("-A INPUT \(rule) -j ACCEPT\n")) })
  }

  private func report(_ number: Int, _ observed: String) -> Report {
    var report = makeReport(host(number))
    for family in Family.allCases { report.families[family].observed = Digest(of: observed.utf8) }
    return report
  }

  private func known(_ number: Int, _ rule: String) throws -> KnownDifference {
    let sides = try #require(DriftSides(report(number, rule)))
    return try #require(KnownDifference(drift(number, rule), sides))
  }

  @Test func `the last difference of each host is kept, and one text for all that have the same`() async throws {
    let store = try Scratch().open()
    let first = try known(1, "-i lo")
    try await store.remember([first, try known(2, "-i lo"), try known(3, "-i eth0")])
    let back = try await store.differences(of: (0..<5).map(host))
    func state(_ known: KnownDifference) -> DifferenceState {
      DifferenceState(sides: known.sides, exact: known.exact, body: Digest(of: known.body))
    }
    #expect(back.count == 3 && back[host(1)] == state(first))
    let body = try #require(try await store.difference(back[host(1)]!.body))
    #expect(try HostDrift(host: host(1), encoded: body).exact == drift(1, "-i lo").exact)
    #expect(try await store.read("count") { try Int.fetchOne($0, sql: "SELECT count(*) FROM texts") } == 2)
    let later = try known(1, "-i eth9")
    try await store.remember([later])
    #expect(try await store.differences(of: [host(1)]) == [host(1): state(later)])
    // What nobody names any more goes, what somebody does stays.
    try await store.remember([try known(2, "-i eth9")])
    try await store.pruneBundles(keepingReleases: 1)
    #expect(try await store.read("count") { try Int.fetchOne($0, sql: "SELECT count(*) FROM texts") } == 2)
    #expect(try await store.differences(of: (0..<5).map(host)).count == 3)
  }

  @Test func `a text that was altered is as good as none`() async throws {
    let store = try Scratch().open()
    try await store.remember([try known(1, "-i lo")])
    try await store.write("alter") { try $0.execute(sql: "UPDATE texts SET body = zeroblob(4)") }
    let body = try #require(try await store.differences(of: [host(1)])[host(1)]).body
    for digest in [body, Digest(of: [])] { #expect(try await store.difference(digest) == nil) }
  }

  @Test func `a waiver is one for a host, and an observation has both`() async throws {
    let store = try Scratch().open()
    try await store.record(reports: [received(report(1, "-i lo"), 10)])
    let difference = try known(1, "-i lo")
    try await store.remember([difference])
    func waiver(_ reason: String, _ number: Int = 1) -> Waiver {
      Waiver(
        host: host(number), difference: difference.exact, words: "+-A", ends: start + 86_400, reason: reason,
        actor: "alice", made: start)
    }
    try await store.save(waivers: [waiver("first"), waiver("other", 2)])
    try await store.save(waivers: [waiver("second")])
    #expect(try await store.waivers() == [waiver("second"), waiver("other", 2)])
    let observation = try #require(try await store.observations()[host(1)])
    #expect(observation.waiver == waiver("second"))
    #expect(observation.difference == .init(sides: difference.sides, exact: difference.exact))
    #expect(StatusJudge(now: start + 11).judge(host(1), desired: nil, observation: observation).integrity == .waived)
    #expect(try await store.endWaivers(of: [host(1), host(9)]) == [waiver("second")])
    #expect(try await store.waivers() == [waiver("other", 2)])
    #expect(try await store.observations()[host(1)]?.waiver == nil)
  }

  @Test func `a host that leaves the fleet takes its difference and its waiver along`() async throws {
    let store = try Scratch().open()
    let difference = try known(1, "-i lo")
    try await store.remember([difference])
    try await store.save(waivers: [
      Waiver(
        host: host(1), difference: difference.exact, words: "", ends: start, reason: "", actor: "", made: start)
    ])
    try await store.removeEnrolment(of: host(1), at: start)
    #expect(try await store.waivers().isEmpty)
    #expect(try await store.differences(of: [host(1)]).isEmpty)
  }

  @Test func `what a verb brought to hosts is told by when it began, also where it failed there`() async throws {
    let store = try Scratch().open()
    for (verb, second) in [("drift repair", Int64(1)), ("drift repair", 50), ("apply", 60), ("drift repair", 70)] {
      let run = try await store.beginRun(verb: verb, actor: "root", reason: "", serial: nil, at: start + second)
      try await store.record(
        run: run,
        results: [
          RunHostResult(host: host(1), result: "committed", detail: ""),
          RunHostResult(host: host(2), result: second == 70 ? "reverted" : "pending", detail: ""),
        ])
    }
    #expect(
      try await store.timesTried(by: "drift repair", since: start + 1)
        == [host(1): [start + 50, start + 70], host(2): [start + 70]])
  }

  @Test func `since when a host differs is told by its reports, whatever else they say`() async throws {
    let store = try Scratch().open()
    func seen(_ observed: String, _ seconds: Int64, kernel: String = "6.1") async throws {
      var report = report(1, observed)
      report.kernel = kernel
      try await store.record(reports: [received(report, seconds)])
    }
    #expect(try await store.driftSpans(of: [host(1)]).isEmpty)
    try await seen("x", 10)
    #expect(
      try await store.driftSpans(of: [host(1)])
        == [
          host(1): DriftSpan(
            notBefore: nil, firstSeen: start + 10, lastSeen: start + 10, observed: report(1, "x").observed)
        ])
    try await seen("a", 20)
    try await seen("a", 30)
    try await seen("x", 40)
    try await seen("x", 50, kernel: "6.2")
    try await seen("x", 60, kernel: "6.2")
    #expect(
      try await store.driftSpans(of: [host(1), host(2)])
        == [
          host(1): DriftSpan(
            notBefore: start + 30, firstSeen: start + 40, lastSeen: start + 60, observed: report(1, "x").observed,
            before: report(1, "a").observed)
        ])
  }

  @Test func `a change that waited and was taken back does not move since when a host differs`() async throws {
    let store = try Scratch().open()
    func seen(_ observed: String, _ seconds: Int64, waits millisecondsLeft: UInt32? = nil) async throws {
      var report = report(1, observed)
      report.pending = millisecondsLeft.map {
        PendingChange(
          transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
          serial: Serial(13), millisecondsLeft: $0, isManual: true)
      }
      try await store.record(reports: [received(report, seconds)])
    }
    func span() async throws -> DriftSpan? { try await store.driftSpans(of: [host(1)])[host(1)] }
    try await seen("a", 10)
    try await seen("loaded", 20, waits: 9000)
    try await seen("x", 30)
    let since = DriftSpan(
      notBefore: start + 10, firstSeen: start + 30, lastSeen: start + 30, observed: report(1, "x").observed,
      before: report(1, "a").observed)
    #expect(try await span() == since)
    try await seen("loaded", 40, waits: 9000)
    try await seen("loaded", 50, waits: 8000)
    try await seen("x", 60)
    #expect(
      try await span()
        == DriftSpan(
          notBefore: since.notBefore, firstSeen: since.firstSeen, lastSeen: start + 60, observed: since.observed,
          before: since.before))
  }
}

extension Report {
  fileprivate var observed: PerFamily<Digest> { families.map { $1.observed } }
}
