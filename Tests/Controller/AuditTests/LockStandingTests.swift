import Audit
import Core
import Testing
import Wire

private let host = HostID("web1")!
private let isolate = ProfileName("isolate")!
private let ours = Digest(of: Array("order 7".utf8))
private let time = UTCTime("2026-11-22T02:11:10Z")!

private func lock(
  _ epoch: UInt64, _ order: Digest = ours, _ phase: LockReport.Phase = .locked, differing: String? = nil,
  uncut: String? = nil
) -> LockReport {
  LockReport(
    epoch: Epoch(epoch), order: order, profile: isolate, rank: LockRank(30)!, principals: ["anna"], reason: "-",
    phase: phase, since: time, secondsLeft: nil, serial: Serial(11), differences: PerFamily(ipv4: differing, ipv6: nil),
    uncut: uncut)
}

private func report(_ lock: LockReport?, heard: UInt64, lift: LiftReport? = nil) -> LockdownReport {
  LockdownReport(lock: lock, heard: Epoch(heard), profiles: [], lastLift: lift)
}

private let locked = LockExpectation.locked(Epoch(7), order: ours)
private let others = Digest(of: Array("another".utf8))

struct LockStandingTests {
  static let cases: [(report: LockdownReport, expected: LockExpectation, finding: String?)] = [
    (report(nil, heard: 0), .open, nil),
    (report(nil, heard: 8), .lifted(Epoch(8)), nil),
    (report(lock(7), heard: 7), locked, nil),
    (report(lock(7), heard: 7), .open, "locked by order 7, which this controller did not send"),
    (report(lock(7), heard: 7), .lifted(Epoch(8)), "still locked by order 7: lift 8 has not reached it"),
    (report(lock(9), heard: 9), .lifted(Epoch(8)), "locked by order 9, which this controller did not send"),
    (report(lock(9, others), heard: 9), locked, "locked by order 9, which this controller did not send"),
    (report(lock(5, others), heard: 5), locked, "locked by order 5: order 7 has not reached it"),
    (report(lock(7, ours, .locking), heard: 7), locked, "locked in its journal, and nothing loads there yet"),
    (
      report(lock(7, ours, .fallback), heard: 7), locked,
      "isolate does not load there: the built-in profile is in its place, which shuts more"
    ),
    (
      report(lock(7, differing: "a rule is gone"), heard: 7), locked,
      "its lockdown is not as it was loaded (ipv4: a rule is gone): 'portcullis lockdown resume 7 --all' mends it"
    ),
    (
      report(lock(7, uncut: "no conntrack"), heard: 7), locked,
      "connections from before may live on there (no conntrack): 'portcullis lockdown resume 7 --all' cuts again"
    ),
    (report(nil, heard: 6), locked, "open: order 7 has not reached it"),
    (report(nil, heard: 7), locked, "open, although it heard order 7"),
    (report(nil, heard: 7, lift: LiftReport(epoch: Epoch(7), cause: .itself, at: time)), locked, nil),
    (
      report(nil, heard: 7, lift: LiftReport(epoch: Epoch(7), cause: .console("hdd"), at: time)), locked,
      "root lifted order 7 at the console: hdd"
    ),
    (
      report(nil, heard: 8, lift: LiftReport(epoch: Epoch(7), cause: .order(Epoch(8)), at: time)), locked,
      "open by order 8, which this controller did not send; it lifted order 7"
    ),
    (
      report(nil, heard: 7, lift: LiftReport(epoch: Epoch(6), cause: .itself, at: time)), locked,
      "open, although it heard order 7"
    ),
  ]

  @Test(arguments: cases) func `what a host is under is compared with what it was ordered`(
    report: LockdownReport, expected: LockExpectation, finding: String?
  ) {
    let standing = LockStanding(host, report, expected: expected)
    #expect(standing.finding == finding)
    #expect(standing.state == (report.lock == nil ? .open : .locked))
  }

  @Test func `an order that was sent and is not for the host by the inventory is no stranger's`() {
    func finding(_ report: LockdownReport, _ expected: LockExpectation) -> String? {
      LockStanding(host, report, expected: expected, sent: [Epoch(7), Epoch(8), Epoch(9)]).finding
    }
    #expect(finding(report(lock(7), heard: 7), .open) == "locked by order 7, which by the inventory is not for it")
    #expect(
      finding(report(lock(9), heard: 9), .lifted(Epoch(8))) == "locked by order 9, which by the inventory is not for it"
    )
    #expect(
      finding(report(lock(9, others), heard: 9), locked) == "locked by order 9, which by the inventory is not for it")
    #expect(
      finding(report(nil, heard: 8, lift: LiftReport(epoch: Epoch(7), cause: .order(Epoch(8)), at: time)), locked)
        == "open by order 8, which by the inventory is not for it; it lifted order 7")
  }

  @Test func `what a host refused did reach it`() {
    func finding(_ report: LockdownReport, _ expected: LockExpectation) -> String? {
      LockStanding(host, report, expected: expected, refusal: "wouldLoosen: rank 10 is below 30\u{1b}").finding
    }
    let why = "wouldLoosen: rank 10 is below 30\\u{1b}"
    for heard in [6, 7] as [UInt64] {
      #expect(finding(report(nil, heard: heard), locked) == "open: it refused order 7: \(why)")
    }
    #expect(finding(report(lock(5, others), heard: 5), locked) == "locked by order 5: it refused order 7: \(why)")
    #expect(
      finding(report(lock(7), heard: 7), .lifted(Epoch(8))) == "still locked by order 7: it refused lift 8: \(why)")
    // It obeyed since.
    #expect(finding(report(lock(7), heard: 7), locked) == nil)
  }

  @Test func `an agent that says nothing of lockdowns is a finding`() {
    let standing = LockStanding(host, nil, expected: .open)
    #expect(standing.state == .unknown && standing.finding?.contains("enroll web1") == true)
  }

  @Test func `a profile that could not lock is unstaged`() {
    var said = report(nil, heard: 0)
    said.profiles = [
      .init(name: isolate, rank: LockRank(30)!, problem: "its files are missing"),
      .init(name: ProfileName("no-egress")!, rank: LockRank(10)!),
    ]
    #expect(LockStanding(host, said, expected: .open).unstaged.map(\.name) == [isolate])
  }
}
