import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// A lockdown that is not as it was loaded.
@Suite struct LockDriftTests {
  static let tampers: [(String, @Sendable (LockScene) -> Void)] = [
    ("the table is gone", { $0.host.firewall.kernel.ipv4["mangle"] = nil }),
    (
      "a rule is above the hook",
      { $0.host.firewall.insert("-A INPUT -s 198.51.100.1/32 -j ACCEPT", to: "mangle", .ipv4) }
    ),
    ("a rule more", { $0.host.firewall.append("-A PCLLOCK-INPUT -j RETURN", to: "mangle", .ipv4) }),
    (
      "another rule",
      { $0.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4) }
    ),
    (
      "the table is switched off",
      { $0.host.firewall.distort = { if $0.name == "mangle", $0.iptablesFamily == .ipv4 { $0.isDormant = true } } }
    ),
  ]

  @Test(arguments: tampers.indices) func `a lock that was tampered with is drift of IPv4 alone`(index: Int) throws {
    let scene = try LockScene()
    try scene.lock(7)
    let (name, tamper) = Self.tampers[index]
    tamper(scene)
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(report.families.ipv4.observed != report.families.ipv4.expected, "\(name)")
    #expect(report.families.ipv6.observed == report.families.ipv6.expected, "\(name)")
    #expect(report.families.ipv4.chains.contains { $0.table == "lockdown" }, "\(name)")
    #expect(report.lockdown?.lock?.differences.ipv4 != nil && report.lockdown?.lock?.differences.ipv6 == nil)
    let text = try scene.agent.text(TextRequest(family: .ipv4, side: .observed))
    #expect(String(decoding: text, as: UTF8.self).contains("*lockdown"))
  }

  @Test func `a lock that a look finds changed is mended at once, and ever more seldom while that does not last`()
    throws
  {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    _ = try scene.agent.look(for: [])
    #expect(scene.agent.lockDue == nil)
    for pause in [0, 10, 20, 40, 80, 160, 320, 600, 600] {
      scene.strip(.ipv4)
      let now = scene.host.boot.now()
      for _ in 0..<2 { _ = try scene.agent.look(for: []) }
      #expect(scene.agent.lockDue == now + .seconds(pause))
      scene.host.pass(.seconds(pause))
      #expect(scene.agent.lockTick())
      #expect(try scene.holds("isolate"))
      #expect(scene.agent.lockDue == nil)
      // It is told like any other change.
      #expect(scene.agent.changes.entries.last?.chains.contains { $0.table == "lockdown" } == true)
    }
    scene.host.pass(.seconds(600))
    scene.strip(.ipv6)
    _ = try scene.agent.look(for: [])
    #expect(scene.agent.lockDue == scene.host.boot.now())
  }

  @Test func `what cannot be mended is no reason to look again at once`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    scene.host.firewall.distort = { if $0.name == "mangle", $0.iptablesFamily == .ipv4 { $0.isDormant = true } }
    _ = try scene.agent.look(for: [])
    #expect(scene.agent.lockDue == scene.host.boot.now())
    #expect(!scene.agent.lockTick())
    _ = try scene.agent.look(for: [])
    #expect(scene.agent.lockDue == scene.host.boot.now() + .seconds(10))
  }

  @Test func `another version of the programs that prints the layer in other words is no drift`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.host.firewall.version = "1.9.0"
    scene.host.firewall.wording = { $0.replacing("-p tcp -m tcp --dport 22", with: "-m tcp -p tcp --dport 22") }
    let lock = try scene.agent.report(.random(), managementSource: "").lockdown?.lock
    #expect(lock?.differences == PerFamily(ipv4: nil, ipv6: nil))
    try scene.restart()
    #expect(try scene.host.ledger().lock?.held?.expectation.programs == "1.9.0 nft")
    #expect(try scene.unlock(8).result == .lifted)
  }

  @Test func `what somebody changed before the programs were upgraded is not taken for what they print`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4)
    scene.host.firewall.version = "1.9.0"
    try scene.restart()
    #expect(try scene.holds("isolate"))
    #expect(try scene.host.ledger().lock?.held?.expectation.programs == "1.9.0 nft")
  }

  @Test func `the layer is loaded again once a look finds other programs, and is recorded once there is room`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    scene.agent.lockTick()
    scene.host.firewall.version = "1.9.0"
    scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4)
    _ = try scene.agent.look(for: [])
    scene.host.faults.breaks = "append journal"
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
    let loads = scene.host.firewall.loads
    for _ in 0..<3 {
      scene.host.pass(.seconds(10))
      scene.agent.lockTick()
    }
    // What only could not be recorded is not loaded again and again.
    #expect(scene.host.firewall.loads == loads)
    scene.host.faults.breaks = nil
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.host.ledger().lock?.held?.expectation.programs == "1.9.0 nft")
    #expect(scene.agent.lockDue == nil)
  }

  @Test(arguments: [true, false])
  func `what is there after loads that failed is not taken for what was loaded`(isUpgraded: Bool) throws {
    let scene = try LockScene()
    try scene.lock(7)
    if isUpgraded { scene.host.firewall.version = "1.9.0" }
    scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4)
    scene.host.firewall.poison = (.ipv6, "PCLLOCK-")
    scene.host.firewall.poisonIsEmpty = true
    scene.host.firewall.beforeLoad = { firewall, family in if family == .ipv4 { firewall.refusals = 1 } }
    scene.agent.checkLock()
    #expect(try !scene.holds("isolate"))
    scene.host.firewall.poison = nil
    scene.host.firewall.beforeLoad = nil
    scene.host.firewall.refusals = 0
    scene.host.pass(.seconds(10))
    scene.agent.lockTick()
    #expect(try scene.holds("isolate"))
  }

  @Test func `the plain files lock a host on which the agent is gone`() throws {
    let scene = try LockScene(applying: [LockScene.mangling])
    func plain(_ name: String) throws -> String {
      String(decoding: try scene.host.disk.read(name, atMost: 1 << 20) ?? [], as: UTF8.self)
    }
    let before = try ["rules/ipv4.rules", "safe/ipv6.rules"].map(plain)
    try scene.lock(7)
    #expect(scene.agent.lockDue == scene.host.boot.now())
    scene.agent.lockTick()
    #expect(scene.agent.lockDue == nil)
    for name in ["rules", "safe"] {
      for family in Family.allCases {
        let host = try FakeHost()
        let text = try plain("\(name)/\(family).rules")
        try host.firewall.load(
          RestoreText(Array(text.utf8), keepsOthers: true), into: family, within: .seconds(1))
        let loaded = LockLayer.split(Ruleset(tables: Array(host.firewall.kernel[family].values))).layer
        #expect(try LockScene.layer("isolate", family).difference(loaded) == nil, "\(name) \(family)")
      }
    }
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(!report.families.ipv4.chains.contains { $0.table == "disk" })
    try scene.unlock(8)
    scene.agent.lockTick()
    #expect(try ["rules/ipv4.rules", "safe/ipv6.rules"].map(plain) == before)
  }
}
