import Audit
import Core
import Release
import Testing
import Wire

@testable import Operations

struct StagedCoverageTests {
  private static let isolate = ProfileName("isolate")!
  private static let h1 = HostID("h1")!

  /// What h1 said last.
  private static func said(
    _ profiles: [LockdownReport.Profile]?, committed: Bool = true
  ) -> HostObservation {
    var report = FleetFolder.report("h1")
    if committed {
      report.committed = Committed(
        serial: Serial(11), manifest: Digest(of: []), content: Digest(of: []), at: FleetFolder.now)
    }
    report.lockdown = profiles.map { LockdownReport(lock: nil, heard: .none, profiles: $0, lastLift: nil) }
    return HostObservation(lastReport: ReceivedReport(report, receivedAt: FleetFolder.now))
  }

  private static func profile(_ name: String, problem: String? = nil) -> LockdownReport.Profile {
    .init(name: ProfileName(name)!, rank: LockRank(30)!, problem: problem)
  }

  private static func manifest(_ labels: [String]) throws -> Manifest {
    try Manifest(
      fleet: FleetID("lab")!, host: h1, serial: Serial(11), mode: .owned, labels: labels,
      sources: ["192.0.2.1"],
      files: PerFamily { _ in Manifest.File(size: 1, digest: Digest(of: [])) })
  }

  @Test func `each reason for which a profile is not ready has its sentence`() throws {
    let ready = Self.said([Self.profile("isolate")])
    let others = try Self.manifest(["db"])
    let cases: [(observation: HostObservation?, isEnrolled: Bool, committed: Manifest?, why: String?)] = [
      (ready, true, try Self.manifest(["web"]), nil),
      (ready, true, nil, nil),
      (ready, false, nil, "it is not enrolled"),
      (nil, true, nil, "it has not reported yet"),
      (HostObservation(), true, nil, "it has not reported yet"),
      (Self.said(nil), true, nil, "its agent knows of no lockdowns: enroll it again"),
      (Self.said([], committed: false), true, nil, "nothing is committed there"),
      (Self.said([]), true, nil, "release 11 has no profiles for it"),
      (Self.said([Self.profile("no-egress")]), true, nil, "release 11 has no profile isolate for it"),
      (Self.said([Self.profile("isolate", problem: "it is gone\u{1b}")]), true, nil, "it is gone\\u{1b}"),
      (ready, true, others, "release 11 knows it by other groups: the order would not be for it"),
    ]
    for (observation, isEnrolled, committed, why) in cases {
      var coverage = StagedCoverage()
      coverage.add(
        Self.h1, observation, committed: committed, isEnrolled: isEnrolled, profile: Self.isolate,
        scope: try LockScope(any: ["web"]))
      #expect(coverage.hosts[Self.h1] == why.map { .notStaged($0) } ?? .staged(LockRank(30)!))
    }
  }
}
