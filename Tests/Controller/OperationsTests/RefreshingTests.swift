import Audit
import Core
import Foundation
import Inventory
import Rollout
import Store
import Testing
import Wire

@testable import Operations

/// What is asked of hosts before a plan, and what becomes of those that do not answer.
struct RefreshingTests {
  private let fleet: FleetFolder
  private let h1 = HostID("h1")!

  init() throws {
    fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2"])
    try fleet.makeSilent(["h1", "h2"])
  }

  @Test func `a host that does not answer is named, and the plan made all the same names it too`() async throws {
    try await fleet.enroll("h1")
    let hosts = try fleet.workspace.inventory().hosts
    let limits = ContactLimits(parallel: 2, timeout: .seconds(10))
    let refreshed = try await Observation(workspace: fleet.workspace, limits: limits)
      .refreshWithTexts(hosts, store: fleet.store)
    #expect(refreshed.unreachable.keys.map(\.description) == ["h1"])
    #expect(try await fleet.store.observations()[h1]?.lastContactFailure?.reason == refreshed.unreachable[h1])
    let planned = try await Planning(fleet.workspace).planWithOutlook(
      hosts, store: fleet.store, refreshed: refreshed, lookup: { _ in [] })
    #expect(planned.unreachable == refreshed.unreachable)
    #expect(try await Planning(fleet.workspace).plan(hosts, store: fleet.store).unreachable == nil)
  }

  /// A plan in which nothing is to be done, of hosts that were asked first.
  private func nothingToDo(_ unreachable: [HostID: String]?) throws -> Planning.Planned {
    let plan = try RolloutPlanner(fleet: FleetID("lab")!, serialBase: .none).plan([
      PlanInput(host: h1, desired: nil, knowledge: .silent)
    ])
    return Planning.Planned(
      plan: plan, content: ReleaseContent(fleet: FleetID("lab")!, byHost: [:], enrolled: [h1]), floor: .none,
      lastSerial: .none, unreachable: unreachable, surroundings: [])
  }

  @Test func `an apply that has nothing to do ends with 4 when a host that it asked was silent`() async throws {
    for (unreachable, code) in [
      ([h1: "no answer"], ExitCode.someUnreachable), ([:], .done), (nil, .done),
    ] as [([HostID: String]?, ExitCode)] {
      let applied = try await Applying(fleet.workspace, limits: ContactLimits())
        .apply(try nothingToDo(unreachable), store: fleet.store, reason: "-", told: { _ in })
      #expect(applied.tally.exitCode == code && applied.unreachable == unreachable)
    }
  }

  @Test func `a store that was lost is begun anew, and asks for each host until it is known again or was removed`()
    async throws
  {
    let workspace = fleet.workspace
    try fleet.store.close()
    func lose() {
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: workspace.storePath + suffix)
      }
    }
    // Keys were made, and no host was ever enrolled.
    lose()
    _ = try await workspace.audited("keys init", hosts: [], reason: nil) { ActionEnd(exitCode: 0) }
    #expect(try workspace.existingStore() == nil)
    let first = try workspace.store()
    #expect(try await !first.isRebuilt())
    try first.close()
    lose()
    _ = try await workspace.audited("enroll", hosts: [h1, HostID("h2")!], reason: nil) { ActionEnd(exitCode: 0) }
    let refused = #expect(throws: Failure.self) { try workspace.existingStore() }
    #expect(refused?.hint?.contains("status --refresh") == true)

    let store = try workspace.store()
    let hosts = try workspace.inventory().hosts
    func asked() async throws -> [String] {
      try await Observation(workspace: workspace, limits: ContactLimits(parallel: 2, timeout: .seconds(10)))
        .refreshWithTexts(hosts, store: store).unreachable.keys.map(\.description).sorted()
    }
    #expect(try await asked() == ["h1", "h2"])
    try await store.removeEnrolment(of: HostID("h2")!, at: FleetFolder.now)
    #expect(try await asked() == ["h1"])
    #expect(try await store.isRebuilt())
    try await store.save(
      Store.Enrolment(
        host: h1, at: FleetFolder.now, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64",
        backend: .nft, hasGenerationZero: true, controllers: []))
    #expect(try await asked() == ["h1"])
    #expect(try await !store.isRebuilt())
    // From now on a host that is removed is gone, as ever.
    try await store.removeEnrolment(of: h1, at: FleetFolder.now)
    #expect(try await asked().isEmpty)
    try store.close()
  }

  @Test func `the silence of a host that nobody enrolled is no failure, while another's is`() async throws {
    let workspace = fleet.workspace
    try fleet.store.close()
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: workspace.storePath + suffix) }
    _ = try await workspace.audited("enroll", hosts: [h1], reason: nil) { ActionEnd(exitCode: 0) }
    let store = try workspace.store()
    let hosts = try workspace.inventory().hosts
    let observation = Observation(
      workspace: workspace, limits: ContactLimits(parallel: 2, timeout: .seconds(10)))
    #expect(try await observation.refreshWithTexts(hosts, store: store).unreachable.keys.map(\.description) == ["h1"])
    let contacts = try await observation.statuses(hosts, store: store).map(\.contact)
    #expect(contacts == [.unreachable, .stale])
    // It is not asked again, and nobody waits for it.
    #expect(try await store.departed().map(\.description) == ["h2"])
    try await fleet.enroll("h1", in: store)
    #expect(try await observation.refreshWithTexts(hosts, store: store).unreachable.keys.map(\.description) == ["h1"])
    #expect(try await !store.isRebuilt())
    try store.close()
  }

  @Test func `a short memory for events does not forget how often a host was repaired today`() async throws {
    let store = fleet.store
    let now = FleetFolder.now + 7 * 86_400
    for ago in [RepairPatience.window + 60, RepairPatience.window - 60, 600] as [Int64] {
      let run = try await store.beginRun(
        verb: DriftRepair.verb, actor: "timer", reason: "-", serial: nil, at: now + -ago)
      try await store.record(run: run, results: [RunHostResult(host: h1, result: "committed", detail: "")])
    }
    var short = Retention()
    short.events = 60
    try await short.prune(store, at: now)
    #expect(try await store.runs().count == 2)
    let tried = try await store.timesTried(by: DriftRepair.verb, since: now + -RepairPatience.window)
    #expect(tried[h1]?.count == 2)
  }

  @Test func `what keeps the controller from hosts has a hint of its own`() throws {
    let bare = try FleetFolder(policy: FleetFolder.bothHalves)
    let hints = Dictionary(
      ControllerCheckup(bare.workspace).findings().filter { $0.check == "ssh" }.map { ($0.problem, $0.hint) },
      uniquingKeysWith: { first, _ in first })
    let (hosts, login) = (
      hints.first { $0.key.contains("the host keys") }?.value, hints.first { $0.key.contains("the bridge") }?.value
    )
    #expect(hosts?.contains("ssh-keyscan HOST") == true && hosts?.contains("fingerprints") == true)
    #expect(login?.contains("portcullis keys init") == true)
  }
}
