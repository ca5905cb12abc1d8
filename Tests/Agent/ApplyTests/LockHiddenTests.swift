import AgentTestSupport
import Core
import Ruleset
import Testing
import Wire

@testable import Apply

/// Table mangle with a rule in it that only nft can show: nothing is printed of it, and everything still loads.
@Suite struct LockHiddenTests {
  private static func scene(locked: Bool) throws -> LockScene {
    let scene = try LockScene()
    if locked { try scene.lock(7, "no-ingress") }
    scene.host.firewall.append("-A INPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff", to: "mangle", .ipv4)
    scene.host.firewall.unspeakable = ["mangle"]
    return scene
  }

  private static func calls(_ scene: LockScene) -> [Int] {
    LockLayer.hooked.map { name in
      scene.kernel(.ipv4)[table: "mangle"]?[chain: name]?.rules
        .count { String(decoding: $0.bytes, as: UTF8.self) == "-A \(name) -j PCLLOCK-\(name)" } ?? 0
    }
  }

  @Test func `a lift takes the layer out that nobody can read, and leaves the rest`() throws {
    let scene = try Self.scene(locked: true)
    for builtIn in LockLayer.hooked {
      try scene.host.firewall.load(
        RestoreText(LockLayer.hooking(builtIn), keepsOthers: true), into: .ipv4, within: .seconds(1))
    }
    #expect(try scene.unlock(8).result == .lifted)
    #expect(scene.isOpen)
    #expect(scene.beneath.ipv4.contains("--set-xmark"))
    #expect(try scene.host.ledger().lock == nil)
  }

  @Test func `a lift is not said to be one as long as the kernel holds some of it`() throws {
    let scene = try Self.scene(locked: true)
    scene.host.firewall.poison = (.ipv4, "-F PCLLOCK-OUTPUT")
    scene.host.firewall.poisonIsEmpty = true
    #expect(throws: Refusal.self) { try scene.unlock(8) }
    #expect(try scene.host.ledger().lock != nil)
    #expect(Self.calls(scene) == [1, 1, 1])
    scene.host.firewall.poison = nil
    scene.host.firewall.hasNftables = false
    #expect(throws: Refusal.self) { try scene.unlock(9) }
    #expect(Self.calls(scene) == [1, 1, 1])
  }

  @Test func `a lock is loaded although nobody can read it, once, and is not said to be in force`() throws {
    let scene = try Self.scene(locked: false)
    let obeyed = try scene.lock(7, "no-ingress")
    #expect(obeyed.result == .locking)
    #expect(obeyed.warnings.contains { $0.contains("only nft can show") })
    for _ in 0..<3 {
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
    }
    #expect(Self.calls(scene) == [1, 1, 1])
    #expect(try scene.holds("no-ingress"))
    scene.host.firewall.unspeakable = []
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.holds("no-ingress"))
    #expect(try scene.host.ledger().lock?.held?.isBuiltIn == false)
  }

  @Test func `the other family is shut by the built-in profile where the ordered one does not load`() throws {
    let scene = try Self.scene(locked: false)
    scene.host.firewall.poison = (.ipv6, "--dport 3260")
    scene.host.firewall.poisonIsEmpty = true
    #expect(try scene.lock(7, "storage").result == .locking)
    let rules = BuiltInIsolate.ruleset(.ipv6, sources: ["192.0.2.7"], sshPorts: [22])
    #expect(try LockLayer(rules, .ipv6).difference(LockLayer.split(scene.kernel(.ipv6)).layer) == nil)
    // What was ordered is not replaced where it is.
    #expect(scene.layer.ipv4.contains("--dport 3260"))
  }

  @Test func `the built-in profile is loaded where the ordered one does not load, read or not`() throws {
    for isHiddenFirst in [true, false] {
      let scene = try isHiddenFirst ? Self.scene(locked: false) : LockScene()
      scene.host.firewall.poison = (.ipv4, "--dport 3260")
      scene.host.firewall.poisonIsEmpty = true
      #expect(try scene.lock(7, "storage").result == (isHiddenFirst ? .locking : .locked))
      if !isHiddenFirst {
        // It went, and what came in its place hides the table.
        scene.strip(.ipv4)
        scene.host.firewall.append("-A INPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff", to: "mangle", .ipv4)
        scene.host.firewall.unspeakable = ["mangle"]
        scene.agent.checkLock()
      }
      let rules = BuiltInIsolate.ruleset(.ipv4, sources: ["192.0.2.7"], sshPorts: [22])
      #expect(try LockLayer(rules, .ipv4).difference(LockLayer.split(scene.kernel(.ipv4)).layer) == nil)
      #expect(Self.calls(scene) == [1, 1, 1])
    }
  }

  @Test func `chains that went are there again although nobody can read them`() throws {
    let scene = try Self.scene(locked: true)
    scene.strip(.ipv4)
    scene.agent.checkLock()
    #expect(Self.calls(scene) == [1, 1, 1])
    #expect(try scene.holds("no-ingress"))
  }

  @Test func `that nobody can read it is drift`() throws {
    let scene = try Self.scene(locked: true)
    let lock = try scene.agent.report(.random(), managementSource: "").lockdown?.lock
    #expect(lock?.differences.ipv4?.contains("only nft can show") == true)
    #expect(lock?.differences.ipv6 == nil)
  }

  @Test func `an order, and one repeated, is not answered as in force where table mangle is switched off`() throws {
    let scene = try LockScene()
    scene.host.firewall.append("-A INPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff", to: "mangle", .ipv4)
    scene.host.firewall.distort = { $0.isDormant = $0.family == .ipv4 && $0.name == "mangle" }
    _ = try scene.agent.look(for: [])
    func words(_ obeyed: Obeyed) -> PerFamily<String?>? { obeyed.lock?.differences }
    #expect(words(try scene.lock(7))?.ipv4?.contains("dormant") == true)
    let repeated = words(try scene.lock(7))
    #expect(repeated?.ipv4?.contains("dormant") == true && repeated?.ipv6 == nil)
    // Before anybody looks again, too.
    #expect(try scene.unlock(8).result == .lifted)
    #expect(words(try scene.lock(9))?.ipv4?.contains("dormant") == true)
    // How it is now, not how the last look found it.
    scene.host.firewall.distort = nil
    #expect(words(try scene.lock(9))?.ipv4 == nil)
  }

  @Test func `every table that only nft can show is found`() {
    let printed =
      "# Table `filter' is incompatible, use 'nft' tool.\n# Table `mangle' is incompatible, use 'nft' tool.\n"
    #expect(HostAgent.unspeakableTables(Array(printed.utf8)) == ["filter", "mangle"])
  }
}
