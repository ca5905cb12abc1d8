import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// What cannot be loaded, or taken out, leaves a host locked.
@Suite struct LockFailureTests {
  @Test func `a profile that went bad on disk is the built-in one after a boot, which says so`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.host.disk.tamper(try scene.profilePath(), [1])
    // What was read stays in memory.
    scene.host.firewall.kernel.ipv4["mangle"] = nil
    scene.agent.checkLock()
    #expect(try scene.holds("isolate"))
    try scene.reboot()
    #expect(scene.holdsBuiltIn)
    let lock = try #require(try scene.agent.report(.random(), managementSource: "").lockdown?.lock)
    #expect(lock.phase == .fallback && lock.differences == PerFamily(ipv4: nil, ipv6: nil))
    // Once it is mended, the next start goes by it.
    scene.host.disk.tamper(try scene.profilePath(), LockScene.rules("isolate", .ipv4))
    try scene.restart()
    #expect(try scene.holds("isolate"))
    #expect(try scene.unlock(8).result == .lifted)
  }

  @Test func `a host on which nothing loads says that it is not locked yet, and goes on trying`() throws {
    let scene = try LockScene()
    // Each side three times in IPv6, and once in IPv4 alone.
    scene.host.firewall.refusals = 8
    let obeyed = try scene.lock(7)
    #expect(obeyed.result == .locking && obeyed.lock?.phase == .locking)
    #expect(scene.isOpen)
    let due = try #require(scene.agent.lockDue)
    #expect(due <= scene.host.boot.now() + .seconds(10))
    scene.agent.lockTick()
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    #expect(try scene.host.ledger().lock?.held != nil)
    #expect(scene.agent.lockDue == nil)
  }

  @Test func `old connections that were not cut are cut again also when that could not be recorded`() throws {
    let scene = try LockScene()
    try scene.lock(7, "no-ingress")
    for family in Family.allCases { scene.strip(family) }
    scene.host.firewall.cutProblem = FirewallProblem(.timedOut, program: "ctnetlink", family: nil, words: "too many")
    scene.host.faults.breaks = "append journal"
    scene.agent.checkLock()
    #expect(try scene.holds("no-ingress"))
    #expect(try scene.host.ledger().lock?.held?.uncut == nil)
    #expect(try scene.lock(7, "no-ingress").lock?.uncut == "cut old connections: ctnetlink: too many")
    // There is room again, and they are still too many.
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.host.ledger().lock?.held?.uncut != nil)
    try scene.restart()
    scene.host.firewall.cutProblem = nil
    let tries = scene.host.firewall.spared.count
    scene.agent.checkLock()
    #expect(scene.host.firewall.spared.count > tries)
    #expect(try scene.host.ledger().lock?.held?.uncut == nil)
  }

  @Test func `a lift takes out what programs of the other backend loaded before, or is refused`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    // The host's programs are others from now on; what those before loaded stays.
    for family in Family.allCases {
      scene.host.firewall.otherBackend[family] = try scene.host.firewall.save(family)
      scene.host.firewall.kernel[family] = [:]
    }
    scene.host.firewall.backend = .legacy
    scene.agent.checkLock()
    #expect(try scene.holds("isolate"))
    func left() -> [Bool] {
      Family.allCases.map { family in
        String(decoding: scene.host.firewall.otherBackend[family] ?? [], as: UTF8.self).contains("PCLLOCK")
      }
    }
    #expect(left() == [true, true])
    scene.host.firewall.otherLoadProblem = FirewallProblem(
      .unavailable, program: "iptables-nft-restore", family: .ipv4, words: "the host has no such program")
    let refusal = #expect(throws: Refusal.self) { try scene.unlock(8) }
    #expect(refusal?.detail.contains("iptables-nft-restore") == true, "\(String(describing: refusal))")
    #expect(try scene.host.ledger().lock != nil && scene.holds("isolate"))
    // Root gets what the host's own programs can open.
    let words = try scene.host.recoveredAgent().obey(LocalOrder(deed: .lift, reason: "x"))
    #expect(words.contains("iptables-nft-restore") && words.contains("locks it again"), "\(words)")
    #expect(scene.isOpen && left() == [true, true])
    try scene.restart()
    #expect(try scene.holds("isolate"))
    scene.host.firewall.otherLoadProblem = nil
    #expect(try scene.unlock(9).result == .lifted)
    #expect(scene.isOpen && left() == [false, false])
  }

  @Test func `where IPv6 does not load, IPv4 is shut all the same`() throws {
    let scene = try LockScene()
    scene.host.firewall.poison = (.ipv6, "PCLLOCK-")
    scene.host.firewall.poisonIsEmpty = true
    scene.host.firewall.cuts = [3, 0]
    let obeyed = try scene.lock(7, "storage")
    #expect(obeyed.result == .locking && obeyed.flowsCut == 3)
    #expect(obeyed.warnings.last?.contains("IPv4 alone is shut") == true)
    for _ in 0..<2 {
      #expect(try LockScene.layer("storage", .ipv4).difference(LockLayer.split(scene.kernel(.ipv4)).layer) == nil)
      #expect(scene.layer.ipv6.isEmpty)
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
    }
    scene.host.firewall.poison = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.holds("storage"))
  }

  static let noConntrack = FirewallProblem(.unavailable, program: "ctnetlink", family: nil, words: "no conntrack")

  @Test func `flows that cannot be cut are a warning where the rules end them all the same`() throws {
    let scene = try LockScene()
    scene.host.firewall.cutProblem = Self.noConntrack
    let obeyed = try scene.lock(7)
    #expect(obeyed.result == .locked && obeyed.warnings.first?.contains("no conntrack") == true)
    #expect(obeyed.lock?.uncut == nil)
    scene.agent.lockTick()
    #expect(scene.agent.lockDue == nil)
  }

  @Test(arguments: ["no-ingress", "no-egress"])
  func `where the rules leave a side open it says that they live on, until they are cut after all`(
    profile: String
  ) throws {
    let scene = try LockScene()
    scene.host.firewall.cutProblem = Self.noConntrack
    #expect(try scene.lock(7, profile).lock?.uncut?.contains("no conntrack") == true)
    // It goes on trying by itself, ever more seldom, also over a new start.
    scene.agent.lockTick()
    for pause in [10, 20] {
      #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(pause))
      scene.host.pass(.seconds(pause))
      scene.agent.lockTick()
    }
    try scene.restart()
    let again = try scene.lock(7, profile)
    #expect(again.result == .repeated && again.lock?.uncut?.contains("no conntrack") == true)
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(report.lockdown?.lock?.uncut?.contains("no conntrack") == true)
    scene.host.firewall.cutProblem = nil
    scene.host.firewall.cuts = [3]
    let cut = try scene.lock(7, profile)
    #expect(cut.result == .repeated && cut.flowsCut == 3 && cut.lock?.uncut == nil && cut.warnings.isEmpty)
    let tries = scene.host.firewall.spared.count
    #expect(try scene.lock(7, profile).lock?.uncut == nil)
    #expect(scene.host.firewall.spared.count == tries)
    try scene.restart()
    #expect(try scene.agent.report(.random(), managementSource: "").lockdown?.lock?.uncut == nil)
  }

  @Test(arguments: [LockScene.first, LockScene.bundle(8)])
  func `an apply of what is committed already puts a profile's files right`(again: LockScene.Bundle) throws {
    let scene = try LockScene()
    scene.host.disk.tamper(try scene.profilePath(), [1])
    #expect(throws: Refusal.self) { try scene.lock(7) }
    #expect(try scene.apply(again).result == .committed)
    #expect(try scene.lock(7).result == .locked)
    #expect(try scene.holds("isolate"))
  }

  @Test func `a lift that does not work leaves the lock`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.host.firewall.poison = (.ipv4, "-X PCLLOCK-INPUT")
    scene.host.firewall.poisonIsEmpty = true
    let order = try SignedOrders.unlock(SignedOrders.terms(8))
    #expect(throws: Refusal.self) { try scene.agent.obey(order, from: scene.host.connection()) }
    #expect(try scene.holds("isolate"))
    scene.host.firewall.poison = nil
    // The same bytes lift it after all.
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .lifted)
  }

  @Test func `a repeated unlock lifts what a crash left locked`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    let order = try SignedOrders.unlock(SignedOrders.terms(8))
    scene.host.faults.restart()
    // Right after its first record is durable.
    scene.host.faults.arm(.die(3))
    _ = try? scene.agent.obey(order, from: scene.host.connection())
    scene.host.faults.restart()
    try scene.restart()
    #expect(try scene.holds("isolate"))
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(8))
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .lifted)
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .nothingToLift)
  }
}
