import Core
import Testing
import Wire

@testable import Audit

/// What hosts say of lockdowns, for an operator.
struct LockdownStatusTests {
  private func lock(_ phase: LockReport.Phase = .locked, left: UInt32? = 7200) -> LockReport {
    LockReport(
      epoch: Epoch(7), order: wanted, profile: ProfileName("isolate")!, rank: LockRank(30)!,
      principals: ["anna\u{1b}[2J"], reason: "INC-991\u{7}", phase: phase, since: start + -60, secondsLeft: left,
      serial: Serial(7), differences: PerFamily(ipv4: nil, ipv6: "x\u{1b}"))
  }

  private func profiles(_ problems: KeyValuePairs<String, String?>) -> [LockdownReport.Profile] {
    problems.map { .init(name: ProfileName($0.key)!, rank: LockRank(1)!, problem: $0.value) }
  }

  private func status(
    _ lock: LockReport?, _ problems: KeyValuePairs<String, String?> = [:], lift: LiftReport? = nil
  ) -> HostStatus {
    var report = makeReport()
    report.lockdown = LockdownReport(
      lock: lock, heard: Epoch(9), profiles: profiles(problems), lastLift: lift)
    // Its clock is ten years ahead, and the report came in at another time of ours.
    report.time = start + 315_360_000
    if report.lockdown?.lock != nil { report.lockdown?.lock?.since = report.time + -60 }
    return StatusJudge(now: start + 1000).judge(
      web1, desired: desired(),
      observation: HostObservation(lastReport: ReceivedReport(report, receivedAt: start + 900)))
  }

  @Test func `a host that is locked down says by what, since when and until when, by our own clock`() {
    let locked = status(lock())
    #expect(locked.modifiers == [.lockedDown] && locked.concern == .pending && !locked.isGood)
    #expect(
      locked.reasons.first
        == "locked down by order 7 (isolate) since 2026-11-21T00:14:00Z, lifts itself at 2026-11-21T02:15:00Z: "
        + "INC-991\\u{7}")
    #expect(locked.lockdown?.lock?.signers == ["anna\\u{1b}[2J"])
    #expect(locked.lockdown?.lock?.differences.ipv6 == "x\\u{1b}")
    #expect(
      status(lock(.fallback, left: nil)).reasons.first
        == "locked down by order 7, by the built-in profile since isolate would not load, since 2026-11-21T00:14:00Z: "
        + "INC-991\\u{7}")
    var uncut = lock(left: nil)
    uncut.uncut = "no\u{1b} conntrack"
    #expect(
      status(uncut).reasons.first?.contains("Z, connections from before may live on (no\\u{1b} conntrack): INC") == true
    )
    let locking = status(lock(.locking, left: nil))
    #expect(locking.reasons.first?.hasPrefix("order 7 (isolate) locks it down, and is not read back yet,") == true)
    #expect(Finding.of(status(lock()), otherBackendRules: 0).map(\.check) == ["host-clock"])
    #expect(Finding.of(locking, otherBackendRules: 0).map(\.check) == ["host-clock", "locking"])
    #expect(Finding.of(status(lock(.fallback)), otherBackendRules: 0).map(\.check) == ["host-clock", "fallback"])
  }

  @Test func `a profile that cannot be used is a finding, and no reason to be anything else than current`() throws {
    let found = status(nil, ["isolate": "no such match", "no-egress": "no such match", "quiet": nil])
    #expect(found.modifiers.isEmpty && found.concern == .none && found.delivery == .current && found.isGood)
    let words = "lockdown profiles isolate, no-egress cannot be used: no such match"
    #expect(found.reasons.last == words)
    let finding = try #require(Finding.of(found, otherBackendRules: 0).first { $0.check == "unstaged" })
    #expect(finding.problem == words)
    #expect(status(nil, ["isolate": nil]).lockdown?.problems.isEmpty == true)
  }

  @Test func `profiles are counted by name over the hosts that have them`() {
    let fleet = [
      status(nil, ["isolate": nil, "quiet": nil]), status(nil, ["isolate": "why"]), status(nil),
      status(lock(), ["isolate": nil]),
    ]
    #expect(
      ProfileCoverage.of(fleet) == [
        ProfileCoverage(name: ProfileName("isolate")!, staged: 2, unusable: 1),
        ProfileCoverage(name: ProfileName("quiet")!, staged: 1, unusable: 0),
      ])
  }

  @Test func `how the last lockdown ended is told`() {
    func lift(_ cause: LiftReport.Cause) -> LockdownStatus.Lift? {
      status(nil, lift: LiftReport(epoch: Epoch(7), cause: cause, at: start)).lockdown?.lastLift
    }
    #expect(lift(.order(Epoch(8)))?.byOrder == Epoch(8) && lift(.order(Epoch(8)))?.cause == "order")
    #expect(lift(.itself)?.cause == "itself")
    #expect(lift(.console("x\u{1b}"))?.reason == "x\\u{1b}")
  }
}
