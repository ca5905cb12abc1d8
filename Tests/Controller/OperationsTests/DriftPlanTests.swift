import Audit
import Core
import Inventory
import Policy
import Release
import Rollout
import Ruleset
import Store
import Testing
import Wire

@testable import Operations

/// What is put back on a drifted host, and what is left alone.
struct DriftPlanTests {
  private func plan(
    _ fleet: DriftTraceTests.Fleet, _ change: Planning.Change
  ) async throws -> Planning.Planned {
    try await Planning(fleet.folder.workspace).plan(
      try fleet.folder.workspace.inventory().hosts, store: fleet.folder.store, change: change)
  }

  @Test func `a repair is of what was committed, whatever the files and the last release say`() async throws {
    let fleet = try await DriftTraceTests.fleet(hosts: ["h1", "h2"])
    let h1 = HostID("h1")!
    let committed = try #require(try await fleet.folder.store.bundle(for: h1)?.content)
    let policy = DriftTraceTests.typed + "  - accept: {tcp: 8080}\n"
    try Files.write(Array(policy.utf8), to: "\(fleet.folder.path)/policies/p.yaml")
    let forward = try await plan(fleet, .policies())
    #expect(forward.plan.hosts.map(\.action) == [.change, .change])
    // A release that never reached h1.
    let serial = try await fleet.folder.store.allocateSerial()
    let manifest = try #require(try forward.content.byHost[h1]?.manifest(serial, []))
    let texts = Dictionary(uniqueKeysWithValues: forward.content.byHost[h1]!.texts.map { ($0.digest, $0.bytes) })
    try await fleet.folder.store.save(
      StoredRelease(
        serial: serial, statement: [2], signatures: [[1]], issued: FleetFolder.now, expires: FleetFolder.now + 60,
        reason: "-", hosts: 1),
      bundles: [
        StoredBundle(
          serial: serial, host: h1, manifest: manifest.encode(), content: manifest.contentDigest, proof: [1],
          rules: forward.content.byHost[h1]?.rules?.map { $1.digest })
      ], texts: texts)
    let repair = try await plan(fleet, .committed)
    #expect(repair.plan.hosts.map(\.action) == [.repair, .repair])
    #expect(repair.content.byHost[h1]?.content == committed && manifest.contentDigest != committed)
  }

  @Test func `a change that waits to be confirmed is nothing to put right, and is told with its end`() async throws {
    let fleet = try await DriftTraceTests.fleet(hosts: ["h1", "h2"])
    let now = fleet.folder.workspace.clock.now()
    for (host, seconds) in [("h1", Int64(0)), ("h2", 3)] {
      var report = try #require(try await fleet.folder.store.observations()[HostID(host)!]?.lastReport?.report)
      report.pending = PendingChange(
        transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
        serial: Serial(9), millisecondsLeft: 300_000, isManual: true)
      try await fleet.folder.store.record(reports: [ReceivedReport(report, receivedAt: now + seconds)])
    }
    for change in [Planning.Change.policies(), .committed] {
      let planned = try await plan(fleet, change).plan.hosts
      #expect(planned.map(\.action) == [.unchanged, .unchanged])
      let words = "runs what it should; release 9 waits there to be confirmed, until \(now + 303) at the latest"
      #expect(planned.map(\.reason) == [words, words])
    }
  }

  private func refused(_ planned: Planning.Planned, _ fleet: DriftTraceTests.Fleet) async throws -> String {
    let error = await #expect(throws: Failure.self) {
      try await Applying(fleet.folder.workspace, limits: ContactLimits())
        .apply(planned, store: fleet.folder.store, reason: "-") { _ in }
    }
    let chain = try #require(error.map { ErrorChain($0) })
    #expect(chain.kind == .refused, "\(chain.line)")
    return chain.line
  }

  @Test func `a release that was begun while somebody looked at a plan is not undone by it`() async throws {
    let fleet = try await DriftTraceTests.fleet(hosts: ["h1", "h2"])
    let store = fleet.folder.store
    let hosts = try fleet.folder.workspace.inventory().hosts
    let plans = [try await plan(fleet, .committed), try await plan(fleet, .policies())]
    let before = Observation.Refreshed(lastSerial: try await store.lastSerial())
    _ = try await store.allocateSerial()
    for planned in plans {
      #expect(try await refused(planned, fleet).contains("the plan is stale: release 2 was begun since"))
    }
    // The same for a release that was begun while the hosts were asked.
    let late = try await Planning(fleet.folder.workspace).plan(
      hosts, store: store, change: .committed, refreshed: before)
    #expect(try await refused(late, fleet).contains("release 2 was begun since"))
    #expect(try await store.lastSerial() == Serial(2))
  }

  @Test func `a host that committed something else since the plan does not get back what it had`() async throws {
    let fleet = try await DriftTraceTests.fleet(hosts: ["h1", "h2"])
    let store = fleet.folder.store
    let planned = try await plan(fleet, .committed)
    var report = FleetFolder.report("h1", drifted: true)
    report.committed = Committed(
      serial: Serial(1), manifest: Digest(of: [9]), content: Digest(of: [9]), at: FleetFolder.now)
    try await store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now + 1)])
    #expect(try await refused(planned, fleet).contains("the plan is stale: they committed something else since: h1"))
    #expect(try await store.lastSerial() == Serial(1))
  }

  @Test func `what was committed and is not kept cannot be put back, and that is said`() async throws {
    let fleet = try await DriftTraceTests.fleet()
    var report = FleetFolder.report("h1", drifted: true)
    report.committed = Committed(
      serial: Serial(9), manifest: Digest(of: [9]), content: Digest(of: [9]), at: FleetFolder.now)
    try await fleet.folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
    let error = await #expect(throws: Failure.self) { try await plan(fleet, .committed) }
    #expect(
      error.map { ErrorChain($0).line }?.contains("does not have the release that was committed there: h1") == true)
  }

  @Test func `a host that a forgotten release withdrew does not get our rules again by itself`() async throws {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves)
    let h1 = HostID("h1")!
    try await folder.enroll("h1")
    func plan(_ content: Digest, reinstating: Set<HostID> = []) async throws -> Planning.Planned {
      var report = FleetFolder.report("h1")
      report.committed = Committed(serial: Serial(7), manifest: Digest(of: [7]), content: content, at: FleetFolder.now)
      for family in Family.allCases {
        report.families[family].expected = Ruleset().digest
        report.families[family].observed = Ruleset().digest
      }
      try await folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
      return try await Planning(folder.workspace).plan(
        try folder.workspace.inventory().hosts, store: folder.store, change: .policies(reinstating: reinstating))
    }
    let planned = try await plan(Digest(of: [9]))
    let withdrawn = try #require(planned.content.byHost[h1])
    #expect(withdrawn.rules == nil && planned.plan.hosts.map(\.action) == [.withdraw])
    #expect(try await plan(withdrawn.content).plan.hosts.map(\.action) == [.unchanged])
    let status = try await Observation(workspace: folder.workspace, limits: ContactLimits())
      .statuses(try folder.workspace.inventory().hosts, store: folder.store)[0]
    #expect(status.reasons.contains { $0.hasPrefix("is withdrawn") }, "\(status.reasons)")
    let back = try await plan(withdrawn.content, reinstating: [h1])
    #expect(back.content.byHost[h1]?.rules != nil)
    // A policy that leaves everything open is another thing, and runs.
    let draft = try #require(back.content.byHost[h1])
    #expect(try await plan(draft.content).plan.hosts.map(\.action) == [.unchanged])
    #expect(try await plan(draft.content).content.byHost[h1]?.rules != nil)
  }

  @Test func `a host that was withdrawn after the backup was made stays so`() async throws {
    let fleet = try await DriftTraceTests.fleet()
    let h1 = HostID("h1")!
    let released = try #require(try await fleet.folder.store.desiredHosts()[h1])
    // A release that others got since has a later number and a bundle of this host too, and says nothing of it.
    for (serial, content, mode) in [
      (released.serial, released.content, nil), (Serial(released.serial.value + 3), Digest(of: [7]), "withdrawn"),
      (released.serial, Digest(of: [7]), "withdrawn"),
    ] as [(Serial, Digest, String?)] {
      var report = FleetFolder.report("h1")
      report.committed = Committed(
        serial: serial, manifest: Digest(of: [7]), content: content, at: FleetFolder.now)
      for family in Family.allCases {
        report.families[family].expected = Ruleset().digest
        report.families[family].observed = Ruleset().digest
      }
      try await fleet.folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
      let said = try await plan(fleet, .policies()).content.byHost[h1]
      #expect((said?.rules == nil ? "withdrawn" : nil) == mode)
      let status = try await Observation(workspace: fleet.folder.workspace, limits: ContactLimits())
        .statuses(try fleet.folder.workspace.inventory().hosts, store: fleet.folder.store)[0]
      #expect(
        status.reasons.contains { $0.contains("newer than any") } == (serial > released.serial), "\(status.reasons)")
    }
  }

  @Test func `a waived difference is no change to apply, until it is another one`() async throws {
    let fleet = try await DriftTraceTests.fleet()
    let store = fleet.folder.store
    #expect(try await plan(fleet, .policies()).plan.hosts.map(\.action) == [.repair])
    let report = try #require(try await store.observations()[HostID("h1")!]?.lastReport?.report)
    let drift = try fleet.drift("h1")
    let sides = try #require(DriftSides(report))
    let known = try #require(KnownDifference(drift, sides))
    try await store.remember([known])
    try await store.save(waivers: [
      Waiver(
        host: drift.host, difference: known.exact, words: drift.summary, ends: UTCTime("2037-01-01T00:00:00Z")!,
        reason: "known", actor: "alice", made: FleetFolder.now)
    ])
    let waived = try await plan(fleet, .policies()).plan
    #expect(waived.hosts.map(\.action) == [.unchanged])
    #expect(waived.hosts.map(\.reason) == ["runs what it should; what differs there is waived until 2036-12-31"])
    var degraded = report
    degraded.degraded = "the boot failed"
    try await store.record(reports: [ReceivedReport(degraded, receivedAt: FleetFolder.now)])
    #expect(try await plan(fleet, .policies()).plan.hosts.map(\.action) == [.repair])
    var other = report
    other.families.ipv4.observed = Digest(of: [77])
    try await store.record(reports: [ReceivedReport(other, receivedAt: FleetFolder.now)])
    #expect(try await plan(fleet, .policies()).plan.hosts.map(\.action) == [.repair])
  }
}
