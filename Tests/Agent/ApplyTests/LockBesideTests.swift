import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// A lockdown and the releases beneath it: neither moves the other.
@Suite struct LockBesideTests {
  @Test func `a change that waits is taken back beneath the lock, and cannot be confirmed`() throws {
    let scene = try LockScene()
    let beneath = scene.beneath
    let transaction = TransactionID.random()
    let change = try ConfirmTests.begin(
      scene.agent, LockScene.second, transaction, from: scene.host.connection())
    #expect(scene.beneath != beneath)
    #expect(try scene.lock(7).result == .locked)
    #expect(try scene.holds("isolate"))
    #expect(scene.beneath == beneath)
    #expect(scene.agent.confirmBy == nil && scene.host.promise.armed == nil)
    let late = try scene.agent.confirm(
      ChangeConfirmation(transaction: transaction, manifest: change.manifest, nonce: change.nonce),
      from: scene.host.connection())
    #expect(late.result == .reverted && late.detail.contains("a lockdown order arrived"))
    #expect(try scene.host.ledger().committed?.accepted.serial == Serial(7))
  }

  static let modes: [[LockScene.Bundle]] = [
    [LockScene.first, LockScene.second], [LockScene.first, LockScene.owned], [LockScene.owned, LockScene.mangling],
    [LockScene.first, LockScene.mangling], [LockScene.mangling, LockScene.manglingOwned],
    [LockScene.mangling, LockScene.bundle(12)], [LockScene.manglingOwned, LockScene.bundle(12, mode: .withdrawn)],
    [LockScene.mangling, LockScene.bundle(12, mode: .withdrawn)],
  ]

  @Test(arguments: modes.indices, Backend.allCases)
  func `a release that is applied meanwhile changes what lies beneath, and the lift leaves it`(
    index: Int, backend: Backend
  ) throws {
    let bundles = Self.modes[index]
    let model = try LockScene(backend, applying: bundles)
    let scene = try LockScene(backend, applying: [bundles[0]])
    try scene.lock(7)
    let layer = scene.layer
    scene.host.firewall.afterLoad = { firewall, family in
      let layer = LockLayer.split(Ruleset(tables: Array(firewall.kernel[family].values))).layer
      if layer.tables.isEmpty { Issue.record("\(family) was open for a moment") }
    }
    #expect(try scene.apply(bundles[1]).result == .committed)
    scene.host.firewall.afterLoad = nil
    #expect(scene.layer == layer)
    #expect(scene.beneath == model.beneath)
    let report = try scene.agent.report(.random(), managementSource: "")
    for family in Family.allCases {
      #expect(report.families[family].observed == report.families[family].expected, "\(family)")
    }
    #expect(report.lockdown?.lock?.differences == PerFamily(ipv4: nil, ipv6: nil))
    #expect(try scene.unlock(8).result == .lifted)
    #expect(scene.host.canonical == model.host.canonical)
    let after = try scene.agent.report(.random(), managementSource: "")
    for family in Family.allCases { #expect(after.families[family].observed == after.families[family].expected) }
  }

  @Test(arguments: modes.indices) func `reboots, restarts, the safe policy and going back leave the lock`(index: Int)
    throws
  {
    let bundles = Self.modes[index]
    let scene = try LockScene(applying: bundles)
    try scene.reboot()
    // A withdrawn release has no profiles: the lock is older than it.
    let isWithdrawn = index >= 6
    let locked = try LockScene(applying: isWithdrawn ? [bundles[0]] : bundles)
    try locked.lock(7)
    if isWithdrawn { try locked.apply(bundles[1]) }
    let layer = locked.layer
    #expect(!locked.isOpen)
    try locked.reboot()
    #expect(locked.layer == layer && locked.beneath == scene.beneath)
    try locked.restart()
    #expect(locked.layer == layer)
    _ = try locked.agent.obey(LocalOrder(deed: .safe, reason: "a drill"))
    #expect(locked.layer == layer && locked.beneath != scene.beneath)
    try locked.reboot()
    #expect(locked.layer == layer)
    _ = try locked.agent.obey(LocalOrder(deed: .rollback, reason: "back"))
    #expect(locked.layer == layer)
    #expect(try locked.unlock(8).result == .lifted)
    #expect(locked.isOpen)
  }

  @Test(arguments: Backend.allCases) func `at a boot the lock is loaded before anything else`(backend: Backend) throws {
    let scene = try LockScene(backend, applying: [LockScene.mangling])
    try scene.lock(7)
    scene.host.cutPower()
    var shut: [Bool] = []
    scene.host.firewall.afterLoad = { firewall, _ in
      shut.append(
        Family.allCases.allSatisfy { family in
          !LockLayer.split(Ruleset(tables: Array(firewall.kernel[family].values))).layer.tables.isEmpty
        })
    }
    #expect(try scene.host.agent().restore() == .committed(Serial(10)))
    // One family after the other.
    #expect(shut.count == 4 && shut.dropFirst().allSatisfy { $0 }, "\(shut)")
    #expect(try scene.holds("isolate"))
  }

  @Test func `the bundle that a lock was made of stays on disk until the lift`() throws {
    let scene = try LockScene()
    let name = try #require(try scene.host.ledger().committed?.name.description)
    try scene.lock(7)
    for serial in [8, 9, 10] as [UInt64] {
      try scene.apply(LockScene.bundle(serial, ipv4: serial % 2 == 0 ? Samples.new4 : Samples.old4))
    }
    #expect(try scene.host.disk.list("bundles").contains(name))
    try scene.reboot()
    #expect(try scene.holds("isolate"))
    try scene.unlock(8)
    try scene.apply(LockScene.bundle(11))
    #expect(try !scene.host.disk.list("bundles").contains(name))
  }
}
