import Audit
import Core
import Inventory
import Store
import Testing
import Wire

@testable import Console
@testable import Operations

/// What `status` and `doctor` know of lockdowns without asking anybody.
struct LockdownSeenTests {
  private static let later = LockdownScene.now + 60

  private static func status(_ name: String, in scene: LockdownScene) async throws -> HostStatus {
    let hosts = scene.inventory.hosts.filter { $0.id.description == name }
    let statuses = try await Observation(workspace: scene.workspace, limits: ContactLimits())
      .statuses(hosts, store: scene.store)
    return try #require(statuses.first)
  }

  /// The same host says something else.
  private static func tell(
    _ name: String, in scene: LockdownScene, _ change: (inout Report) -> Void
  ) async throws {
    var report = try #require(try await scene.store.observations()[HostID(name)!]?.lastReport?.report)
    change(&report)
    try await scene.store.record(reports: [ReceivedReport(report, receivedAt: later)])
  }

  @Test func `a profile that a host is to have and has not is a finding in words`() async throws {
    let scene = try await LockdownScene()
    try await Self.tell("web005", in: scene) { report in
      report.committed = Committed(
        serial: Serial(7), manifest: Digest(of: []), content: Digest(of: [7]), at: LockdownScene.now)
      report.lockdown?.profiles = []
    }
    try await Self.tell("web006", in: scene) { $0.lockdown = nil }
    let missing = "lockdown profile isolate is not staged: "
    for (host, why) in [
      ("web020", "it has not reported yet"), ("web005", "release 7 has no profiles for it"),
      ("web006", "its agent knows of no lockdowns: enroll it again"),
    ] {
      let status = try await Self.status(host, in: scene)
      #expect(status.reasons.contains(missing + why), "\(host): \(status.reasons)")
      #expect(
        Finding.of(status, otherBackendRules: 0).first { $0.check == "unstaged" }?.problem == missing + why)
    }
    #expect(try await Self.status("web001", in: scene).unstaged.isEmpty)
    let found = try await Doctor(scene.workspace).examine(scene.inventory.hosts, store: scene.store)
    let named = found.hosts.filter { $0.findings.contains { $0.check == "unstaged" } }.map(\.host.description)
    #expect(named.sorted() == ["web005", "web006", "web017", "web020"])

    // Hosts that answer `lockdown status` are told of likewise.
    let unstaged = try await UnstagedProfiles(
      of: scene.store.desiredHosts(), scene.store.observations(), scene.store)
    #expect(
      LockStanding(HostID("web005")!, nil, expected: .open, missing: unstaged.profiles(HostID("web005")!))
        .unstaged.map(\.problem) == ["release 7 has no profiles for it"])
  }

  @Test func `status says that an order came since a host reported, until the host reports again`() async throws {
    let scene = try await LockdownScene()
    let arming = Arming(scene.workspace, scene.store)
    let outlook = try await arming.look(
      .init(
        profile: ProfileName("isolate")!, pattern: "web", approvals: nil, liftsAfter: nil, validFor: 3600, reason: "-"),
      scene.inventory)
    let order = try await arming.arm(outlook)
    _ = try await OrderSigning(scene.workspace, scene.store).sign(order.epoch, key: scene.bert) { _ in }
    #expect(try await Self.status("web001", in: scene).reasons == [])
    try await scene.store.markSent(
      order.epoch, to: ["web001", "web002", "web004", "web007"].map { HostID($0)! }, at: Self.later)
    for (host, kind) in [
      ("web001", OrderOutcome.Kind.verified), ("web002", .refused(code: "cannotLock", words: "no table mangle")),
      ("web004", .unreachable(words: "no route to host")),
    ] {
      try await scene.store.record(
        outcomes: [OrderOutcome(host: HostID(host)!, at: Self.later, kind: kind)], of: order.epoch)
    }
    for (host, words) in [
      ("web001", "order 1 (isolate) was sent since it reported (verified): 'portcullis status --refresh'"),
      ("web002", "order 1 (isolate) was sent since it reported (refused: cannotLock): 'portcullis status --refresh'"),
      ("web004", "order 1 (isolate) was sent since it reported (did not reach it): 'portcullis status --refresh'"),
      // Being brought, or its run died.
      (
        "web007",
        "order 1 (isolate) was sent since it reported (its answer is not known): 'portcullis status --refresh'"
      ),
    ] {
      #expect(try await Self.status(host, in: scene).reasons == [words])
    }

    try await Self.tell("web001", in: scene) { $0.lockdown?.heard = order.epoch }
    #expect(try await Self.status("web001", in: scene).reasons == [])
  }
}
