import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Journals, disks and profiles that went bad: neither the lock nor the way out of it may be lost with them.
@Suite struct LockLastResortTests {
  private static func damageJournal(_ scene: LockScene) throws {
    var journal = try #require(try scene.host.disk.read(Journal.fileName, atMost: 1 << 20))
    journal[20] ^= 1
    scene.host.disk.tamper(Journal.fileName, journal)
  }

  private static func plain(_ scene: LockScene) throws -> [String] {
    try ["rules", "safe"].flatMap { folder in
      try Family.allCases.map { family in
        String(decoding: try scene.host.disk.read("\(folder)/\(family).rules", atMost: 1 << 20) ?? [], as: UTF8.self)
      }
    }
  }

  // MARK: The journal

  @Test func `a boot without the journal loads the lock that the plain files hold, above the safe policy`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    try Self.damageJournal(scene)
    scene.host.cutPower()
    guard case .safePolicy(let why) = try scene.host.agent().restore() else {
      Issue.record("the journal was read")
      return
    }
    #expect(why.contains("the lockdown in the plain files is loaded"))
    #expect(try scene.holds("isolate"))
    #expect(scene.beneath.ipv4.contains("--dport 22 -j ACCEPT"))
  }

  @Test(arguments: ["*mangle\n:PCLLOCK-INPUT - [0:0]\n-A PCLLOCK-INPUT -j ACCEPT\nCOMMIT\n", ""])
  func `what the plain files no longer say, or say wrongly, the built-in profile stands in for`(text: String) throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    scene.host.disk.tamper("safe/ipv4.rules", Array(text.utf8))
    try Self.damageJournal(scene)
    scene.host.cutPower()
    _ = try scene.host.agent().restore()
    let rules = BuiltInIsolate.ruleset(.ipv4, sources: [], sshPorts: [22])
    #expect(try LockLayer(rules, .ipv4).difference(LockLayer.split(scene.kernel(.ipv4)).layer) == nil)
    let ordered = try LockScene.layer("isolate", .ipv6)
    #expect(ordered.difference(LockLayer.split(scene.kernel(.ipv6)).layer) == nil)
  }

  @Test func `what the plain files hold and does not load the built-in profile stands in for, or it is said`() throws {
    for (poison, words) in [
      ("--dport 3260", "the lockdown in the plain files is loaded above it"),
      ("PCLLOCK-", "of the lockdown in the plain files ipv6 alone is loaded above it"),
    ] {
      let scene = try LockScene()
      try scene.lock(7, "storage")
      scene.agent.lockTick()
      try Self.damageJournal(scene)
      scene.host.cutPower()
      scene.host.firewall.poison = (.ipv4, poison)
      scene.host.firewall.poisonIsEmpty = true
      guard case .safePolicy(let why) = try scene.host.agent().restore() else {
        Issue.record("the journal was read")
        return
      }
      #expect(why.contains(words), "\(why)")
      #expect(scene.layer.ipv4.contains("-j DROP") == (poison == "--dport 3260"), "\(scene.layer.ipv4)")
      #expect(scene.layer.ipv6.contains("--dport 3260"))
    }
  }

  @Test func `the plain files follow the profile that stands in`() throws {
    let scene = try LockScene()
    scene.host.firewall.refusals = 8
    #expect(try scene.lock(7, "storage").result == .locking)
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("--dport 3260") })
    scene.host.firewall.poison = (.ipv4, "--dport 3260")
    scene.host.firewall.poisonIsEmpty = true
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    scene.agent.lockTick()
    #expect(scene.holdsBuiltIn)
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") && !$0.contains("--dport 3260") })
  }

  @Test(arguments: [false, true], [false, true])
  func `a host whose journal is new is opened with its plain files, by an unlock and by root`(
    isBooted: Bool, isRoot: Bool
  ) throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
    try scene.host.disk.remove(Journal.fileName)
    try scene.host.disk.sync(".")
    if isBooted { try scene.reboot() } else { try scene.restart() }
    if isRoot {
      #expect(try scene.agent.obey(LocalOrder(deed: .lift, reason: "x")).contains("are taken out"))
    } else {
      #expect(try scene.unlock(8).result == (isBooted ? .nothingToLift : .lifted))
    }
    #expect(scene.isOpen)
    #expect(try Self.plain(scene).allSatisfy { !$0.contains("PCLLOCK") })
  }

  @Test func `a boot without the journal of a host that was not locked locks nothing`() throws {
    let scene = try LockScene()
    try Self.damageJournal(scene)
    scene.host.cutPower()
    _ = try scene.host.agent().restore()
    #expect(scene.isOpen)
  }

  @Test func `root lifts without the journal, and for good`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    try Self.damageJournal(scene)
    let console = try scene.host.agent()
    #expect(throws: (any Error).self) { try console.recover() }
    #expect(try console.obey(LocalOrder(deed: .lift, reason: "x")).contains("are taken out"))
    #expect(scene.isOpen)
    #expect(try Self.plain(scene).allSatisfy { !$0.contains("PCLLOCK") && $0.contains("COMMIT") })
    #expect(try console.obey(LocalOrder(deed: .lift, reason: "x")).contains("nothing to lift"))
    scene.host.cutPower()
    _ = try scene.host.agent().restore()
    #expect(scene.isOpen)
  }

  @Test func `chains that the journal does not know are taken out by an unlock, and by root`() throws {
    let scene = try LockScene()
    func leave() throws {
      for family in Family.allCases {
        try scene.host.firewall.load(
          RestoreText(try LockScene.layer("isolate", family).first, keepsOthers: true), into: family,
          within: .seconds(1))
      }
    }
    try leave()
    let obeyed = try scene.unlock(7)
    #expect(obeyed.result == .lifted && obeyed.warnings.first?.contains("does not know") == true)
    #expect(scene.isOpen)
    #expect(try scene.unlock(8).result == .nothingToLift)
    try leave()
    #expect(try scene.agent.obey(LocalOrder(deed: .lift, reason: "x")).contains("are taken out"))
    #expect(scene.isOpen)
  }

  // MARK: The disk

  @Test func `root lifts on a full disk, which is recorded once there is room`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.host.faults.breaks = "append journal"
    let words = try scene.agent.obey(LocalOrder(deed: .lift, reason: "x"))
    #expect(words.contains("could not be recorded") && words.contains("locks it again"))
    #expect(scene.isOpen)
    // Nothing that happens loads it again.
    for _ in 0..<2 {
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
      scene.agent.checkLock()
    }
    #expect(try scene.lock(7).result == .ended)
    #expect(scene.isOpen)
    scene.host.faults.breaks = nil
    #expect(try scene.agent.obey(LocalOrder(deed: .safe, reason: "x")).contains("loaded"))
    #expect(scene.isOpen)
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(scene.isOpen)
    #expect(try scene.host.ledger().lock == nil && scene.host.ledger().lastLift?.cause == .console("x"))
  }

  @Test func `a lift that could not be recorded ends with the agent that did it`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.host.faults.breaks = "append journal"
    _ = try scene.agent.obey(LocalOrder(deed: .lift, reason: "x"))
    try scene.restart()
    #expect(try scene.holds("isolate"))
  }

  @Test func `a lift at the console leaves nothing of the lock in the plain files`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
    _ = try scene.host.recoveredAgent().obey(LocalOrder(deed: .lift, reason: "x"))
    #expect(try Self.plain(scene).allSatisfy { !$0.contains("PCLLOCK") })
  }

  @Test func `plain files that a full disk did not take lock, and open, once there is room`() throws {
    let scene = try LockScene()
    scene.host.faults.breaks = "create safe/ipv4.rules.new"
    try scene.lock(7)
    scene.agent.lockTick()
    #expect(try Self.plain(scene).count { $0.contains("PCLLOCK") } == 3)
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
    #expect(scene.agent.lockDue == nil)
    scene.host.faults.breaks = "create safe/ipv4.rules.new"
    #expect(try scene.unlock(8).result == .lifted)
    scene.agent.lockTick()
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { !$0.contains("PCLLOCK") })
    #expect(scene.agent.lockDue == nil)
  }

  @Test func `plain files that are perhaps not on the disk are brought there`() throws {
    let scene = try LockScene()
    scene.host.faults.breaks = "sync safe"
    try scene.lock(7)
    scene.agent.lockTick()
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    scene.host.cutPower()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
  }

  @Test func `plain files that were locked as they were, and are perhaps not on the disk, are brought there`() throws {
    let scene = try LockScene()
    let bundle = try #require(try scene.host.ledger().committed?.name)
    scene.host.disk.tamper("bundles/\(bundle)/ipv4.rules", [1])
    scene.host.faults.breaks = "sync safe"
    try scene.lock(7)
    scene.agent.lockTick()
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    scene.host.cutPower()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
  }

  @Test func `plain files lock, and open, as they are where the committed rules can no longer be read`() throws {
    let scene = try LockScene()
    let open = try Self.plain(scene)
    let bundle = try #require(try scene.host.ledger().committed?.name)
    scene.host.disk.tamper("bundles/\(bundle)/ipv4.rules", [1])
    try scene.lock(7)
    scene.agent.lockTick()
    for (before, now) in zip(open, try Self.plain(scene)) {
      #expect(now.hasPrefix(before) && now.contains("PCLLOCK"))
    }
    // What the agent wrote itself is no drift.
    let disk = try scene.agent.report(.random(), managementSource: "").families.ipv4.chains.filter {
      $0.table == "disk"
    }
    #expect(disk.allSatisfy { !$0.chain.contains("safe/") && !$0.chain.hasPrefix("rules/") }, "\(disk)")
    #expect(try scene.unlock(8).result == .lifted)
    scene.agent.lockTick()
    #expect(try Self.plain(scene) == open)
    // One that the disk does not take keeps no other back.
    scene.host.faults.breaks = "create rules/ipv4.rules.new"
    try scene.lock(9)
    scene.agent.lockTick()
    #expect(try Self.plain(scene).count { $0.contains("PCLLOCK") } == 3)
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try Self.plain(scene).allSatisfy { $0.contains("PCLLOCK") })
  }

  @Test func `what a lock was made of is kept in memory through orders that are refused`() throws {
    let scene = try LockScene()
    try scene.lock(7, "no-ingress")
    scene.host.disk.tamper(try scene.profilePath(2), [1])
    scene.host.faults.breaks = "append journal"
    #expect(throws: Refusal.self) { try scene.lock(8) }
    scene.host.faults.breaks = nil
    scene.host.facts.tunnels = ["192.0.2.7": TunnelLink(interface: "wg0", kind: "wireguard")]
    #expect(throws: Refusal.self) { try scene.lock(9) }
    scene.strip(.ipv4)
    #expect(scene.agent.checkLock())
    #expect(try scene.holds("no-ingress"))
  }

  @Test func `what could not be recorded of a lock is, once there is room`() throws {
    let scene = try LockScene()
    scene.host.firewall.beforeSave = { firewall, _ in firewall.faults.breaks = "append journal" }
    #expect(try scene.lock(7).result == .locked)
    scene.host.firewall.beforeSave = nil
    scene.host.faults.breaks = nil
    #expect(try scene.host.ledger().lock?.held == nil)
    scene.agent.lockTick()
    #expect(scene.agent.lockDue != nil)
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.host.ledger().lock?.held != nil)
    #expect(scene.agent.lockDue == nil)
  }

  // MARK: Profiles

  @Test(arguments: [[1], nil] as [[UInt8]?], [0, 1])
  func `a profile that went bad on disk takes no release down, and locks nothing`(content: [UInt8]?, index: Int) throws
  {
    let scene = try LockScene(applying: [LockScene.first, LockScene.second])
    let path = try scene.profilePath(index)
    if let content {
      scene.host.disk.tamper(path, content)
    } else {
      try scene.host.disk.remove(path)
      try scene.host.disk.sync(String(path.prefix(upTo: path.lastIndex(of: "/")!)))
    }
    scene.host.cutPower()
    #expect(try scene.host.agent().restore() == .committed(Serial(8)))
    try scene.restart()
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(report.degraded == nil)
    #expect(report.families.ipv4.chains.contains { $0.table == "disk" })
    #expect(report.lockdown?.profiles[index].problem != nil)
    let refusal = #expect(throws: Refusal.self) { try scene.lock(7, LockScene.ranks[index].name) }
    #expect(refusal?.code == (content == nil ? .profileMissing : .profileAltered))
    // The same release, sent again, mends it.
    #expect(try scene.apply(LockScene.second).result == .committed)
    #expect(try scene.lock(8, LockScene.ranks[index].name).result == .locked)
  }

  @Test func `the built-in profile keeps to those who manage the host now when the manifest goes`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    let other = "203.0.113.9"
    try scene.apply(
      Result {
        try SignedBundles.bundle(
          serial: 8, ipv4: Samples.new4, ipv6: Samples.new6, sources: ["192.0.2.7", other], labels: ["prod", "web"],
          profiles: [])
      })
    scene.host.firewall.poison = (.ipv4, "no such words")
    scene.host.disk.tamper(try scene.lockedProfilePath(), [1])
    try scene.restart()
    #expect(scene.layer.ipv4.contains(other), "\(scene.layer.ipv4)")
    scene.host.disk.tamper("bundles/\(try #require(try scene.host.ledger().committed?.name))/manifest", [1])
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    scene.agent.checkLock()
    #expect(scene.layer.ipv4.contains(other), "\(scene.layer.ipv4)")
  }

  @Test func `the built-in profile goes by those who managed the host last when it is needed first`() throws {
    let scene = try LockScene()
    try scene.lock(7, "storage")
    let other = "203.0.113.9"
    try scene.apply(
      Result {
        try SignedBundles.bundle(
          serial: 8, ipv4: Samples.new4, ipv6: Samples.new6, sources: ["192.0.2.7", other], labels: ["prod", "web"])
      })
    scene.host.disk.tamper("bundles/\(try #require(try scene.host.ledger().committed?.name))/manifest", [1])
    scene.host.firewall.poison = (.ipv4, "--dport 3260")
    scene.host.firewall.poisonIsEmpty = true
    scene.strip(.ipv4)
    scene.agent.checkLock()
    #expect(scene.layer.ipv4.contains(other), "\(scene.layer.ipv4)")
  }

  @Test func `the built-in profile keeps management's addresses where the manifest is gone too`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    let profile = try scene.profilePath()
    scene.host.disk.tamper(profile, [1])
    scene.host.disk.tamper("\(profile.prefix(upTo: profile.lastIndex(of: "/")!))/manifest", [1])
    try scene.reboot()
    #expect(scene.holdsBuiltIn)
  }

  @Test(arguments: Backend.allCases)
  func `the built-in profile follows sshd to another port, and settles`(backend: Backend) throws {
    let scene = try LockScene(backend)
    scene.host.firewall.poison = (.ipv4, "--dport 3260")
    scene.host.firewall.poisonIsEmpty = true
    #expect(try scene.lock(7, "storage").result == .locked)
    #expect(scene.holdsBuiltIn)
    // Its configuration is edited: it listens where it did, and nobody may be shut out.
    scene.host.facts.sshPorts = [2222]
    #expect(try scene.agent.report(.random(), managementSource: "").lockdown?.lock?.differences.ipv4 != nil)
    #expect(scene.agent.checkLock())
    for port in [22, 2222] { #expect(scene.layer.ipv4.contains("--dport \(port) "), "\(port)") }
    // It is started anew, and nobody tells.
    scene.host.facts.listeningSSHPorts = [2222]
    scene.host.pass(.seconds(10))
    #expect(try #require(scene.agent.lockDue) <= scene.host.boot.now())
    #expect(scene.agent.lockTick())
    #expect(scene.layer.ipv4.contains("--dport 2222 ") && !scene.layer.ipv4.contains("--dport 22 "))
    // Where the kernel does not tell, what was a door stays one.
    scene.host.facts.sshPorts = [22]
    scene.host.facts.listeningSSHPorts = []
    #expect(scene.agent.checkLock())
    for port in [22, 2222] { #expect(scene.layer.ipv4.contains("--dport \(port) "), "\(port)") }
    let lock = try scene.agent.report(.random(), managementSource: "").lockdown?.lock
    #expect(lock?.phase == .fallback && lock?.differences.ipv4 == nil && lock?.differences.ipv6 == nil)
    // From here on nothing is left to do.
    let loads = scene.host.firewall.loads
    #expect(!scene.agent.checkLock())
    #expect(scene.host.firewall.loads == loads)
    // Someone else's rule in the place of one is still found.
    scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4)
    #expect(scene.agent.checkLock())
    #expect(!scene.layer.ipv4.contains("eth0"))
  }

  @Test func `the order that a host is locked by is repeated where the manifest went bad, and no other one`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    let profile = try scene.profilePath()
    scene.host.disk.tamper("\(profile.prefix(upTo: profile.lastIndex(of: "/")!))/manifest", [1])
    #expect(try scene.lock(7).result == .repeated)
    #expect(#expect(throws: Refusal.self) { try scene.lock(8) }?.code == .profileMissing)
  }

  @Test(arguments: Backend.allCases)
  func `a layer that does not load keeps nothing from being loaded beneath`(backend: Backend) throws {
    let scene = try LockScene(backend, applying: [LockScene.mangling])
    let beneath = scene.beneath
    let other = LockScene.bundle(11, ipv4: LockScene.mangle4.replacing("0x1/", with: "0x2/"), ipv6: LockScene.mangle4)
    _ = try ConfirmTests.begin(scene.agent, other, .random(), from: scene.host.connection())
    scene.host.firewall.poison = (.ipv4, "PCLLOCK-")
    scene.host.firewall.poisonIsEmpty = true
    #expect(try scene.lock(7).result == .locking)
    #expect(scene.beneath == beneath)
    #expect(try scene.host.ledger().open == nil)
    try scene.restart()
    #expect(try scene.agent.obey(LocalOrder(deed: .safe, reason: "x")).contains("is loaded"))
    #expect(scene.beneath != beneath)
    scene.host.cutPower()
    _ = try scene.host.agent().restore()
    try scene.restart()
    #expect(try scene.host.ledger().lock != nil)
    scene.host.firewall.poison = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
  }
}
