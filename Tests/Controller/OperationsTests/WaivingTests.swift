import Audit
import Core
import Rollout
import Testing
import Wire

@testable import Operations

/// Which of the hosts that were asked get a waiver.
struct WaivingTests {
  private func drift(_ host: String, _ rule: String) -> HostDrift {
    func text(_ rules: String) -> [UInt8] { Array("*filter\n:INPUT DROP [0:0]\n\(rules)COMMIT\n".utf8) }
    return HostDrift(
      host: HostID(host)!,
      texts: PerFamily { _ in DriftTexts(expected: text(""), observed: text("-A INPUT \(rule) -j ACCEPT\n")) })
  }

  private func status(
    _ host: String, drifted: Bool = true, degraded: String? = nil, isPending: Bool = false
  ) -> HostStatus {
    var report = FleetFolder.report(host, drifted: drifted)
    report.committed = Committed(
      serial: Serial(1), manifest: Digest(of: []), content: Digest(of: []), at: FleetFolder.now)
    report.degraded = degraded
    if isPending {
      report.pending = PendingChange(
        transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
        serial: Serial(9), millisecondsLeft: 60_000, isManual: true)
    }
    var observation = HostObservation()
    observation.lastReport = ReceivedReport(report, receivedAt: FleetFolder.now)
    return StatusJudge(now: FleetFolder.now + 1).judge(HostID(host)!, desired: nil, observation: observation)
  }

  private func sort(_ drifts: [HostDrift], _ statuses: [HostStatus], enrolled: [String]) -> Waiving.Waived {
    Waiving.sort(
      DriftHunt.Found(drifts: drifts, statuses: statuses),
      known: Dictionary(uniqueKeysWithValues: drifts.compactMap { drift in drift.exact.map { (drift.host, $0) } }),
      enrolled: Set(enrolled.map { HostID($0)! })
    ) { drift, exact in
      Waiver(
        host: drift.host, difference: exact, words: drift.summary, ends: FleetFolder.now + 9, reason: "INC-1",
        actor: "alice", made: FleetFolder.now)
    }
  }

  @Test func `who runs the safe policy, and whom nobody asked, gets none, and is told why`() {
    let never = StatusJudge(now: FleetFolder.now).judge(HostID("h3")!, desired: nil, observation: HostObservation())
    let waived = sort(
      [drift("h1", "-i lo"), drift("h2", "-i lo")],
      [status("h1"), status("h2", degraded: "its rules did not load"), never, status("h4", drifted: false)],
      enrolled: ["h1", "h2", "h4"])
    #expect(waived.waivers.map(\.host.description) == ["h1"])
    #expect(waived.drifts.map(\.host) == waived.waivers.map(\.host) && waived.statuses.count == 1)
    #expect(
      waived.leftOut == [
        HostID("h2")!: Waiving.degraded, HostID("h3")!: "not enrolled, so that nobody asked",
      ])
    #expect(waived.intact.map(\.description) == ["h4"])
  }

  @Test func `a change that waits to be confirmed is nothing to waive`() {
    let waits = sort([], [status("h1", isPending: true)], enrolled: ["h1"])
    #expect(waits.leftOut == [HostID("h1")!: "release 9 waits there to be confirmed, which is no drift"])
  }

  @Test func `what a repair could not put back is named by its sides`() {
    var gone = status("h3")
    gone.contact = .unreachable
    let disk = HostDrift(
      host: HostID("h4")!,
      texts: PerFamily { _ in
        DriftTexts(expected: [], observed: Array("*disk\n:trust - [0:0]\n-A trust sha256:bb\nCOMMIT\n".utf8))
      })
    let outcome = DriftRepair.Outcome(
      DriftHunt.Found(
        drifts: [drift("h1", "-i lo"), disk],
        statuses: [status("h1"), status("h2", drifted: false), gone, status("h4"), status("h5")]))
    #expect(outcome.differing.map(\.host.description) == ["h1", "h4", "h5"])
    #expect(outcome.differing.map(\.sides) == [[.running], [.disk], []])
    #expect(outcome.silent.map(\.description) == ["h3"] && outcome.exitCode == .someUnreachable)
    #expect(DriftRepair.Outcome(differing: outcome.differing, silent: []).exitCode == .finding)
  }

  @Test func `differences that are not the same are several, whether or not one was waived before`() {
    var before = drift("h2", "-i lo")
    before.waiver = Waiver(
      host: before.host, difference: before.exact!, words: "", ends: FleetFolder.now, reason: "old", actor: "bob",
      made: FleetFolder.now)
    let alike = sort([drift("h1", "-i lo"), before], ["h1", "h2"].map { status($0) }, enrolled: ["h1", "h2"])
    #expect(alike.groups.map(\.hosts.count) == [2])
    let unlike = sort(
      [drift("h1", "-i lo"), drift("h2", "-i eth0")], ["h1", "h2"].map { status($0) }, enrolled: ["h1", "h2"])
    #expect(unlike.groups.map(\.hosts.count) == [1, 1])
  }
}
