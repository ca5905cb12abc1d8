import Core
import Testing
import Wire

@testable import Audit

struct StatusTests {
  let judge = StatusJudge(now: start + 1000)

  func status(
    _ report: Report?, received: Int64 = 900, failure: Int64? = nil, attempt: DeliveryAttempt? = nil
  ) -> HostStatus {
    judge.judge(
      web1, desired: desired(),
      observation: HostObservation(
        lastReport: report.map { ReceivedReport($0, receivedAt: start + received) },
        lastContactFailure: failure.map { ContactFailure(at: start + $0, reason: "refused\u{1b}[2J") },
        lastAttempt: attempt))
  }

  @Test(arguments: [
    (PerFamily<String>(ipv4: "a", ipv6: "b"), Integrity.intact),
    (PerFamily(ipv4: "x", ipv6: "b"), .drifted),
    (PerFamily(ipv4: "a", ipv6: "x"), .drifted),
    (PerFamily(ipv4: "x", ipv6: "x"), .drifted),
    (PerFamily(ipv4: "b", ipv6: "a"), .drifted),
  ])
  func `a host is intact when both families are`(observed: PerFamily<String>, integrity: Integrity) {
    #expect(status(makeReport(observed: observed)).integrity == integrity)
  }

  @Test func `without a report or a commit integrity is unknown`() {
    #expect(status(nil).integrity == .unknown)
    #expect(status(makeReport(committed: nil, expected: PerFamily(ipv4: nil, ipv6: nil))).integrity == .unknown)
    #expect(status(makeReport(expected: PerFamily(ipv4: "a", ipv6: nil))).integrity == .unknown)
  }

  @Test func `a change that waits to be confirmed is no drift, and is told with its end`() {
    let pending = PendingChange(
      transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: wanted, serial: Serial(9),
      millisecondsLeft: 300_000, isManual: true)
    let waiting = status(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"), pending: pending))
    #expect(waiting.integrity == .unknown && waiting.concern == .pending)
    #expect(
      waiting.reasons.contains("release 9 is applied and waits to be confirmed by hand, until 2026-11-21T00:20:00Z"))
    #expect(!waiting.reasons.contains { $0.contains("differ") })
    #expect(DriftSides(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"), pending: pending)) == nil)
    #expect(DriftSides(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"))) != nil)
  }

  @Test(
    arguments: [
      ([:], "ipv4 and ipv6 differ from what was committed"),
      ([.ipv4: ["disk"]], "ipv6 and what is on disk, and maybe the ipv4 rules, differ from what was committed"),
      (
        [.ipv4: ["filter", "others", "disk"], .ipv6: ["sysctl"]],
        "what is on disk and what is beside the rules, and maybe the ipv4 and ipv6 rules, differ from what was committed"
      ),
      ([.ipv4: ["filter"]], "ipv4 and ipv6 differ from what was committed"),
    ] as [([Family: [String]], String)])
  func `status says which side moved`(tables: [Family: [String]], words: String) {
    var report = makeReport(observed: PerFamily(ipv4: "x", ipv6: "x"))
    for family in Family.allCases {
      report.families[family].chains = (tables[family] ?? []).map {
        ChainDigest(table: $0, chain: "c", digest: other)
      }
    }
    #expect(status(report).reasons.first == "\(words): 'portcullis drift' shows how")
  }

  @Test func `a host that cannot be reached keeps what it last said`() {
    let drifted = makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"))
    for (report, integrity) in [(makeReport(), Integrity.intact), (drifted, .drifted)] {
      let status = status(report, received: 10, failure: 990)
      #expect(status.integrity == integrity)
      #expect(status.contact == .unreachable)
      #expect(status.delivery == .current)
      #expect(status.age == 990)
    }
  }

  @Test func `what is shown after a commit that no report followed is not the old drift`() {
    let old = makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"))
    let status = status(old, received: 900, attempt: attempt(.committed, at: 901))
    #expect(status.delivery == .current)
    #expect(status.integrity == .unknown)
  }

  @Test(
    arguments: [
      (1000, nil, Contact.fresh), (100, nil, .fresh), (99, nil, .stale), (1060, nil, .fresh), (1061, nil, .stale),
      (900, 899, .fresh), (900, 900, .unreachable), (900, 901, .unreachable), (0, 1, .unreachable),
    ] as [(Int64, Int64?, Contact)])
  func `contact is the age of the last report, or a failure since`(received: Int64, failure: Int64?, contact: Contact) {
    #expect(status(makeReport(), received: received, failure: failure).contact == contact)
  }

  @Test func `a host that was never reached is unreachable, one never asked is stale`() {
    #expect(status(nil, failure: 1).contact == .unreachable)
    #expect(status(nil).contact == .stale)
    #expect(status(nil).age == nil)
  }

  @Test func `the default age limit is three sweeps`() {
    #expect(StatusJudge(now: start).staleAfter == 900)
    #expect(
      StatusJudge(now: start + 1000, staleAfter: 10).judge(
        web1, desired: nil, observation: .init(lastReport: .init(makeReport(), receivedAt: start + 900))
      ).contact == .stale)
  }

  @Test func `words of hosts cannot reach the terminal raw`() {
    let report = makeReport(
      committed: nil, lastFailure: LastFailure(serial: Serial(8), result: .reverted, detail: "\u{1b}]0;x\u{7}"),
      conflicts: ["ufw\n"])
    let status = status(report, failure: 950)
    for text in status.reasons + status.conflicts {
      #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f })
    }
    #expect(status.delivery == .reverted)
    // And that its clock differs from ours.
    #expect(status.reasons.count == 3)
  }

  @Test(arguments: [-2_000_000_000, -121, -120, 0, 120, 121, 150_000_000] as [Int64])
  func `a host's clock that is off is told, and nothing is judged by it`(ahead: Int64) {
    var report = makeReport()
    report.time = start + ahead
    let status = StatusJudge(now: start).judge(
      web1, desired: desired(), observation: .init(lastReport: .init(report, receivedAt: start)))
    #expect(status.contact == .fresh && status.integrity == .intact && status.age == 0 && status.isGood)
    #expect(status.clockAhead == ahead)
    let isTold = abs(ahead) > 120
    #expect(status.reasons.contains { $0 == "its clock said \(start + ahead) when ours said \(start)" } == isTold)
    #expect(Finding.of(status, otherBackendRules: 0).contains { $0.check == "host-clock" } == isTold)
  }

  @Test func `the safe policy shows as degraded`() {
    let status = status(makeReport(degraded: "broken"))
    #expect(status.modifiers == [.degraded])
    #expect(!status.isGood)
    #expect(status.concern == .degraded)
    #expect(self.status(makeReport()).isGood)
  }

  @Test func `a summary counts every word, zeros too`() {
    let summary = FleetSummary([
      status(makeReport()), status(nil), status(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b")), failure: 950),
    ])
    #expect(summary.hosts == 3)
    #expect(summary.delivery == [.current: 2, .pending: 1, .failed: 0, .reverted: 0, .unknown: 0])
    #expect(summary.integrity == [.intact: 1, .drifted: 1, .waived: 0, .unknown: 1])
    #expect(summary.contact == [.fresh: 1, .stale: 1, .unreachable: 1])
    #expect(summary.modifiers == [.lockedDown: 0, .held: 0, .degraded: 0])
  }

  @Test func `lists begin with the worst`() {
    func named(_ name: String, _ change: (inout HostStatus) -> Void) -> HostStatus {
      var status = status(makeReport())
      status.host = HostID(name)!
      change(&status)
      return status
    }
    let worst = [
      named("z1") { $0.modifiers = [.degraded] }, named("y1") { $0.delivery = .failed },
      named("x1") { $0.delivery = .reverted }, named("w1") { $0.integrity = .drifted },
      named("w2") { $0.integrity = .drifted }, named("v1") { $0.delivery = .unknown },
      named("u1") { $0.contact = .unreachable }, named("t1") { $0.delivery = .pending },
      named("s1") { $0.integrity = .unknown }, named("r1") { $0.contact = .stale }, named("a1") { _ in },
    ]
    #expect(worst.shuffled().sorted(by: HostStatus.worstFirst).map(\.host) == worst.map(\.host))
  }
}
