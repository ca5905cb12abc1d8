import AgentTestSupport
import Core
import Glibc
import Release
import TestSupport
import Testing
import Wire

@testable import Apply

/// Puts a crash or a fault at every call of every seam while a host is locked, tightened, lifted, or changed beneath: at each
/// one where runs are multiplied (`make interleave`), otherwise at every third, beginning at another one each time.
@Suite struct LockCrashTests {
  static func points() -> some Sequence<Int> {
    let step = Fuzzing.count(1) > 1 ? 1 : 3
    var random = Random.fresh()
    return stride(from: 1 + random.below(step), through: .max, by: step)
  }

  struct Scenario: Sendable, CustomStringConvertible {
    let description: String
    let prepare: @Sendable (LockScene) throws -> Void
    let perform: @Sendable (LockScene) throws -> Void
    /// Locks that may be there afterwards, by epoch; nil for none.
    let ends: [UInt64?]
  }

  static let scenarios = [
    Scenario(description: "a first order", prepare: { _ in }, perform: { try $0.lock(7) }, ends: [nil, 7]),
    Scenario(
      description: "a tighter order", prepare: { try $0.lock(7, "no-ingress") },
      perform: { try $0.lock(8, "storage") }, ends: [7, 8]),
    Scenario(
      description: "an order while a change waits",
      prepare: { scene in
        _ = try ConfirmTests.begin(scene.agent, LockScene.second, .random(), from: scene.host.connection())
      }, perform: { try $0.lock(7) }, ends: [nil, 7]),
    Scenario(
      description: "the same order again, of a layer that is gone",
      prepare: { scene in
        try scene.lock(7)
        scene.host.firewall.kernel.ipv6["mangle"] = nil
      },
      perform: { $0.agent.checkLock() }, ends: [7]),
    Scenario(
      description: "an unlock", prepare: { try $0.lock(7) }, perform: { try $0.unlock(8) }, ends: [nil, 7]),
    Scenario(
      description: "its time is over",
      prepare: { scene in
        try scene.lock(7, liftsAfter: 60)
        scene.agent.lockTick()
        scene.host.pass(.seconds(61))
      }, perform: { $0.agent.lockTick() }, ends: [nil, 7]),
    Scenario(
      description: "root lifts", prepare: { try $0.lock(7) },
      perform: { _ = try $0.agent.obey(LocalOrder(deed: .lift, reason: "x")) }, ends: [nil, 7]),
    Scenario(
      description: "an apply while locked", prepare: { try $0.lock(7) },
      perform: { _ = try $0.host.apply($0.agent, LockScene.mangling) }, ends: [7]),
    Scenario(
      description: "a release whose profiles have to be rehearsed", prepare: { $0.host.facts.sshPorts = [22, 2222] },
      perform: { _ = try $0.host.apply($0.agent, LockScene.second) }, ends: [nil]),
  ]

  /// What lies beneath, by the serial that is committed.
  static func beneath(_ backend: Backend) throws -> [Serial: PerFamily<String>] {
    var texts: [Serial: PerFamily<String>] = [:]
    texts[Serial(7)] = try LockScene(backend).beneath
    texts[Serial(8)] = try LockScene(backend, applying: [LockScene.first, LockScene.second]).beneath
    texts[Serial(10)] = try LockScene(backend, applying: [LockScene.first, LockScene.mangling]).beneath
    return texts
  }

  static func scene(_ scenario: Scenario, _ backend: Backend) throws -> LockScene {
    let scene = try LockScene(backend)
    try scenario.prepare(scene)
    scene.host.faults.restart()
    return scene
  }

  static func check(
    _ scene: LockScene, _ scenario: Scenario, _ beneath: [Serial: PerFamily<String>], floor: Epoch, _ place: Comment
  ) throws {
    let ledger = try scene.host.ledger()
    #expect(scenario.ends.contains { $0 == ledger.lock?.epoch.value }, place)
    if let lock = ledger.lock {
      #expect(try scene.holds(lock.profile.name.description), place)
      #expect(lock.held != nil, place)
    } else {
      #expect(scene.isOpen, place)
    }
    #expect((ledger.epochFloor?.epoch ?? .none) >= floor, place)
    #expect(ledger.open == nil && ledger.degraded == nil, place)
    guard let committed = ledger.committed else { return }
    #expect(scene.beneath == beneath[committed.accepted.serial], place)
    // What is known of profiles stands beside the bundle that it is of, whole.
    let known = BundleStore(on: scene.host.disk).rehearsedProfiles(of: committed.name)
    #expect(known?.entries.count == LockScene.ranks.count && known?.hasFailed == false, place)
  }

  @Test(arguments: scenarios, CrashTests.Recovery.allCases)
  func `a process that dies in any call leaves old or new, and locked where in doubt`(
    scenario: Scenario, recovery: CrashTests.Recovery
  ) throws {
    let backend = recovery == .restart ? Backend.nft : .legacy
    let beneath = try Self.beneath(backend)
    var calls = 0
    var ends: Set<UInt64> = []
    for number in Self.points() {
      calls = number
      let scene = try Self.scene(scenario, backend)
      let floor = try scene.host.ledger().epochFloor?.epoch ?? .none
      scene.host.faults.arm(.die(number))
      _ = try? scenario.perform(scene)
      guard scene.host.faults.isDead else { break }
      let place: Comment = "\(scenario), \(recovery), call \(number): \(scene.host.faults.log.last ?? "")"
      scene.host.faults.restart()
      if recovery == .powerCut { try scene.reboot() } else { try scene.restart() }
      // Its time goes on where it was.
      if scenario.description.hasPrefix("its time"), try scene.host.ledger().lock != nil {
        #expect(try scene.holds("isolate"), place)
        if recovery == .restart { scene.agent.lockTick() }
      }
      try Self.check(scene, scenario, beneath, floor: floor, place)
      ends.insert(try scene.host.ledger().lock?.epoch.value ?? 0)
      let once = (scene.host.firewall.kernel, try scene.host.ledger())
      try scene.restart()
      #expect(scene.host.firewall.kernel == once.0, place)
      #expect(try scene.host.ledger().lock?.epoch == once.1.lock?.epoch, place)
    }
    #expect(calls > 6, "\(scenario)")
    #expect(ends.isSubset(of: Set(scenario.ends.map { $0 ?? 0 })), "\(scenario)")
  }

  @Test(arguments: scenarios, [EIO, ENOSPC])
  func `a single call that fails leaves old or new, and the answer says which`(
    scenario: Scenario, errno: Int32
  ) throws {
    let beneath = try Self.beneath(.legacy)
    var calls = 0
    for number in Self.points() {
      calls = number
      let scene = try Self.scene(scenario, .legacy)
      let before = try scene.host.ledger()
      scene.host.faults.arm(.fail(number), errno: errno)
      let result = Result { try scenario.perform(scene) }
      let reached = scene.host.faults.calls >= number
      let place: Comment = "\(scenario), call \(number): \(reached ? scene.host.faults.log[number - 1] : "none")"
      scene.host.faults.restart()
      if case .failure(let error) = result {
        #expect(error is Refusal, place)
        #expect(try scene.host.ledger().lock?.epoch == before.lock?.epoch, place)
      }
      guard reached else { break }
      // What could not be done is done when its time comes.
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
      try scene.restart()
      try Self.check(scene, scenario, beneath, floor: before.epochFloor?.epoch ?? .none, place)
    }
    #expect(calls > 6)
  }

  @Test(arguments: scenarios) func `a process that dies in any call of its recovery recovers the next time`(
    scenario: Scenario
  ) throws {
    let beneath = try Self.beneath(.nft)
    let probe = try Self.scene(scenario, .nft)
    try? scenario.perform(probe)
    guard let loading = probe.host.faults.log.firstIndex(of: "load ipv4").map({ $0 + 1 }) else { return }
    var calls = 0
    for number in Self.points() {
      calls = number
      let scene = try Self.scene(scenario, .nft)
      let floor = try scene.host.ledger().epochFloor?.epoch ?? .none
      scene.host.faults.arm(.die(loading))
      _ = try? scenario.perform(scene)
      scene.host.faults.restart()
      scene.host.faults.arm(.die(number))
      _ = try? scene.host.agent().recover()
      guard scene.host.faults.isDead else { break }
      let place: Comment = "\(scenario), call \(number) of recovery: \(scene.host.faults.log.last ?? "")"
      scene.host.faults.restart()
      try scene.restart()
      if scenario.description.hasPrefix("its time") { scene.agent.lockTick() }
      try Self.check(scene, scenario, beneath, floor: floor, place)
    }
    #expect(calls > 6)
  }
}
