import AgentTestSupport
import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Apply

/// What ends a lockdown without an order: its time, and root at the console.
@Suite struct LockTimeTests {
  @Test func `it lifts itself when its time is over, of which only running time counts`() throws {
    let scene = try LockScene()
    try scene.lock(7, liftsAfter: 60)
    scene.agent.lockTick()
    for _ in 0..<2 {
      let due = try #require(scene.agent.lockDue)
      #expect(due == scene.host.boot.now() + .seconds(10))
      scene.host.pass(.milliseconds(10_400))
      scene.agent.lockTick()
      scene.host.boot.time = BootTime(nanoseconds: scene.host.boot.time.nanoseconds - 400_000_000)
    }
    #expect(try scene.host.ledger().lock?.time?.secondsLeft == 40)
    // Off for a day.
    scene.host.clock.time = SignedBundles.now + 86_400
    try scene.reboot()
    #expect(try scene.holds("isolate"))
    #expect(try scene.agent.report(.random(), managementSource: "").lockdown?.lock?.secondsLeft == 40)
    scene.agent.lockTick()
    for left in [30, 20, 10] as [UInt32] {
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
      #expect(try scene.host.ledger().lock?.time?.secondsLeft == left)
    }
    scene.host.pass(.milliseconds(9_900))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    scene.host.pass(.milliseconds(100))
    scene.agent.lockTick()
    #expect(scene.isOpen)
    #expect(try scene.host.ledger().lastLift?.cause == .itself)
    #expect(scene.agent.lockDue == nil)
  }

  @Test func `a machine that sleeps makes no lock shorter`() throws {
    let scene = try LockScene()
    try scene.lock(7, liftsAfter: 60)
    scene.agent.lockTick()
    scene.host.pass(.seconds(4))
    scene.host.sleep(.seconds(7200))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    #expect(try scene.agent.report(.random(), managementSource: "").lockdown?.lock?.secondsLeft == 56)
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(6))
    scene.host.pass(.seconds(55))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    scene.host.pass(.seconds(1))
    scene.agent.lockTick()
    #expect(scene.isOpen)
  }

  @Test func `a lift of itself that does not work is tried again`() throws {
    let scene = try LockScene()
    try scene.lock(7, liftsAfter: 60)
    scene.agent.lockTick()
    scene.host.pass(.seconds(60))
    scene.host.faults.breaks = "append journal"
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    scene.host.faults.breaks = nil
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(scene.isOpen)
  }

  @Test func `a lock without a time asks for nothing as time passes`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    #expect(scene.agent.lockDue == nil)
  }

  @Test func `it does not lift itself onto a change that nobody confirmed`() throws {
    let scene = try LockScene()
    try scene.lock(7, liftsAfter: 60)
    scene.agent.lockTick()
    scene.host.pass(.seconds(50))
    let transaction = TransactionID.random()
    let change = try ConfirmTests.begin(scene.agent, LockScene.second, transaction, from: scene.host.connection())
    scene.host.pass(.seconds(10))
    #expect(scene.agent.lockTick() == false)
    #expect(try scene.holds("isolate"))
    // Meanwhile it is looked at all the same.
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
    scene.host.pass(.seconds(45))
    #expect(scene.agent.lockTick() == false)
    #expect(scene.agent.lockDue == scene.agent.confirmBy)
    let outcome = try scene.agent.confirm(
      ChangeConfirmation(transaction: transaction, manifest: change.manifest, nonce: change.nonce),
      from: scene.host.connection())
    #expect(outcome.result == .committed)
    #expect(try #require(scene.agent.lockDue) <= scene.host.boot.now())
    #expect(scene.agent.lockTick())
    #expect(scene.isOpen)
  }

  @Test func `an unlock takes a change back that nobody confirmed`() throws {
    let scene = try LockScene()
    let beneath = scene.beneath
    try scene.lock(7)
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(scene.agent, LockScene.second, transaction, from: scene.host.connection())
    scene.host.firewall.afterLoad = { firewall, family in
      if LockLayer.split(Ruleset(tables: Array(firewall.kernel[family].values))).layer.tables.isEmpty {
        #expect(scene.beneath == beneath)
      }
    }
    #expect(try scene.unlock(8).result == .lifted)
    scene.host.firewall.afterLoad = nil
    #expect(scene.isOpen && scene.beneath == beneath)
    #expect(try scene.host.ledger().outcome(of: transaction)?.result == .reverted)
  }

  /// A change is loaded, nobody confirmed it, and taking it back does not work: nothing loads beneath the lock.
  private static func stuck(liftsAfter: UInt32? = nil) throws -> (scene: LockScene, beneath: PerFamily<String>) {
    let scene = try LockScene()
    let beneath = scene.beneath
    try scene.lock(7, liftsAfter: liftsAfter)
    scene.agent.lockTick()
    _ = try ConfirmTests.begin(scene.agent, LockScene.second, .random(), from: scene.host.connection())
    scene.host.firewall.poisonIsEmpty = true
    scene.host.firewall.poison = (.ipv4, "*filter")
    #expect(throws: Refusal.self) { try scene.unlock(8) }
    #expect(scene.agent.confirmBy == nil && scene.beneath != beneath)
    return (scene, beneath)
  }

  @Test func `an unlock opens nothing onto a change that could not be taken back before`() throws {
    let (scene, beneath) = try Self.stuck()
    #expect(throws: Refusal.self) { try scene.unlock(8) }
    #expect(try scene.holds("isolate"))
    scene.host.firewall.poison = nil
    #expect(try scene.unlock(8).result == .lifted)
    #expect(scene.isOpen && scene.beneath == beneath)
    #expect(try scene.host.ledger().open == nil)
  }

  @Test func `nor does a lockdown whose time is over`() throws {
    let (scene, beneath) = try Self.stuck(liftsAfter: 60)
    scene.host.pass(.seconds(60))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    scene.host.firewall.poison = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(scene.isOpen && scene.beneath == beneath)
    #expect(try scene.host.ledger().open == nil)
  }

  @Test func `while a change waits the lock is mended all the same`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    _ = try ConfirmTests.begin(scene.agent, LockScene.second, .random(), from: scene.host.connection())
    scene.strip(.ipv4)
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
    scene.host.pass(.seconds(10))
    #expect(scene.agent.lockTick())
    #expect(try scene.holds("isolate"))
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10) && scene.agent.confirmBy != nil)
    scene.host.pass(.seconds(10))
    #expect(scene.agent.lockTick() == false)
    scene.agent.expire(because: "nobody confirmed it")
    #expect(scene.agent.lockDue == nil)
  }

  @Test func `time that passes changes no rules`() throws {
    let scene = try LockScene()
    try scene.lock(7, liftsAfter: 60)
    scene.agent.lockTick()
    scene.host.pass(.seconds(10))
    #expect(scene.agent.lockTick() == false)
    #expect(try scene.host.ledger().lock?.time?.secondsLeft == 50)
  }

  @Test func `root lifts, which is told, and may not remove the agent before`() throws {
    let scene = try LockScene()
    #expect(try scene.agent.obey(LocalOrder(deed: .lift, reason: "x")).contains("nothing to lift"))
    try scene.lock(7)
    let refused = #expect(throws: Failure.self) { try scene.agent.returnToGeneration0() }
    #expect(refused?.kind == .refused)
    #expect(try scene.holds("isolate"))
    _ = try scene.agent.obey(LocalOrder(deed: .safe, reason: "held"))
    #expect(try scene.agent.obey(LocalOrder(deed: .lift, reason: "the door\u{1b}[2J")).contains("order 7"))
    #expect(scene.isOpen)
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(report.lockdown?.lastLift?.cause == .console("the door\\u{1b}[2J"))
    // What else root ordered stays as it was.
    #expect(report.localAct?.deed == .safe)
    #expect(try scene.agent.returnToGeneration0())
  }

  @Test func `root lifts while a change waits, and it waits on`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    _ = try ConfirmTests.begin(scene.agent, LockScene.second, .random(), from: scene.host.connection())
    _ = try scene.agent.obey(LocalOrder(deed: .lift, reason: "x"))
    #expect(scene.isOpen && scene.agent.confirmBy != nil)
  }
}
