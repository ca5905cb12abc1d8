import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

/// What root does at the console.
@Suite struct LocalOrderTests {
  let host: FakeHost
  let agent: HostAgent
  let found: PerFamily<String>

  init() throws {
    host = try Modes.host()
    found = host.canonical
    agent = try host.recoveredAgent()
  }

  @Test func `the safe policy leaves other people's chains alone in owned mode`() throws {
    try host.apply(agent, Modes.owned2)
    _ = try agent.obey(LocalOrder(deed: .safe, reason: "a drill"))
    #expect(ModeTests.foreign(host.canonical.ipv4) == ModeTests.foreign(found.ipv4))
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.degraded != nil)
    #expect(report.localAct?.deed == .safe)
    // It stays so over a restart and a reboot, until the next release.
    let safe = host.canonical
    _ = try host.recoveredAgent()
    #expect(host.canonical == safe)
    host.cutPower()
    guard case .safePolicy = try host.agent().restore() else {
      Issue.record("root's order was forgotten at boot")
      return
    }
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    let next = try host.recoveredAgent()
    #expect(try host.apply(next, Modes.owned3).result == .committed)
    #expect(try next.report(.random(), managementSource: "").localAct == nil)
    #expect(try next.report(.random(), managementSource: "").degraded == nil)
  }

  @Test func `what a release replaced or took over is given back although the safe policy stood in its place`() throws {
    for (release, next) in [(Modes.exclusive2, Modes.withdrawn3), (Modes.taking3, Modes.withdrawn4)] {
      let host = try Modes.host()
      host.firewall.append(ModeTests.accept, to: "filter", .ipv4)
      let found = host.canonical
      let agent = try host.recoveredAgent()
      try host.apply(agent, release)
      _ = try agent.obey(LocalOrder(deed: .safe, reason: "a drill"))
      #expect(try host.apply(agent, next).result == .committed)
      #expect(host.canonical == found)
    }
  }

  @Test func `giving up over the safe policy leaves nothing of it behind when it is taken back`() throws {
    try host.apply(agent, Modes.exclusive3)
    _ = try agent.obey(LocalOrder(deed: .safe, reason: "a drill"))
    let safe = host.canonical
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, Modes.withdrawn4, transaction, from: host.connection())
    #expect(host.canonical == found)
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect(host.canonical == safe)
  }

  @Test func `a change that nobody can take back stays open and guarded when root orders the safe policy`() throws {
    try host.apply(agent, Modes.owned2)
    _ = try ConfirmTests.begin(agent, Modes.owned3, .random(), from: host.connection())
    host.faults.breaks = "load ipv4"
    #expect(throws: Refusal.self) { try agent.obey(LocalOrder(deed: .safe, reason: "a drill")) }
    #expect(try host.ledger().open != nil)
    #expect(host.promise.armed != nil)
    host.faults.breaks = nil
    #expect(try agent.obey(LocalOrder(deed: .safe, reason: "a drill")).hasPrefix("the safe policy is loaded"))
    #expect(try host.ledger().open == nil)
    #expect(host.promise.armed == nil)
  }

  @Test func `a journal that cannot be read does not keep the safe policy from being loaded`() throws {
    try host.apply(agent, Modes.owned2)
    var journal = try #require(try host.disk.read(Journal.fileName, atMost: 1 << 20))
    journal[20] ^= 1
    try host.disk.remove(Journal.fileName)
    try host.disk.create(Journal.fileName, journal)
    let next = try host.agent()
    #expect(throws: (any Error).self) { try next.recover() }
    #expect(try next.obey(LocalOrder(deed: .safe, reason: "a drill")).contains("could not be recorded"))
    #expect(host.canonical.ipv4.contains("--dport 22 -j ACCEPT"))
  }

  @Test func `going back over a release that cannot be read does not take its rules for somebody else's`() throws {
    try host.apply(agent, Modes.exclusive3)
    try host.apply(agent, Modes.bundle(4, .exclusive, Modes.evict))
    let name = try #require(try host.ledger().committed?.name)
    try host.disk.remove("bundles/\(name)/ipv4.rules")
    let next = try host.recoveredAgent()
    _ = try next.obey(LocalOrder(deed: .rollback, reason: "back"))
    #expect(try host.apply(next, Modes.bundle(5, .withdrawn)).result == .committed)
    #expect(host.canonical == found)
  }

  @Test
  func `going back to a release that takes whole tables wipes nobody who came since`() throws {
    try host.apply(agent, Modes.exclusive2)
    try host.apply(agent, Modes.owned3)
    // Somebody moved in after the tables were given up.
    let ban = "*filter\n:INPUT DROP [0:0]\n:LIBVIRT_INP - [0:0]\n-A LIBVIRT_INP -p udp -j ACCEPT\nCOMMIT\n"
    try host.firewall.load(
      RestoreText(Array(ban.utf8), keepsOthers: true), into: .ipv4, within: .seconds(1))
    let before = host.canonical
    let refusal = #expect(throws: Refusal.self) {
      try agent.obey(LocalOrder(deed: .rollback, reason: "back"))
    }
    #expect(refusal?.code == .foreignChains)
    #expect(refusal?.detail.contains("libvirt") == true)
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
  }

  @Test func `the safe policy is loaded although it cannot be recorded, and says so`() throws {
    try host.apply(agent, Modes.owned2)
    // It fills up in the middle of an apply, which then cannot even be given up.
    host.firewall.beforeRehearsal = { $0.faults.breaks = "append journal" }
    #expect(throws: Refusal.self) { try host.apply(agent, Modes.owned3) }
    host.firewall.beforeRehearsal = nil
    #expect(try host.ledger().open != nil)
    let words = try agent.obey(LocalOrder(deed: .safe, reason: "the disk is full"))
    #expect(words.contains("could not be recorded"))
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    host.faults.breaks = nil
    #expect(try host.ledger().localAct == nil)
  }

  @Test func `root goes back to the bundle before, and the report says so until the next commit`() throws {
    #expect(throws: Refusal.self) { try agent.obey(LocalOrder(deed: .rollback, reason: "none yet")) }
    try host.apply(agent, Modes.owned2)
    let old = host.canonical
    try host.apply(agent, Modes.owned3)
    #expect(host.canonical != old)
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "the web is down"))
    #expect(host.canonical == old)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.committed?.serial == Serial(2))
    #expect(report.localAct?.reason == "the web is down")
    #expect(try host.ledger().floor?.serial == Serial(3))
    #expect(try host.recoveredAgent().report(.random(), managementSource: "").localAct?.deed == .rollback)
    let next = try host.recoveredAgent()
    #expect(try host.apply(next, Modes.owned3).result == .committed)
    #expect(try next.report(.random(), managementSource: "").localAct == nil)
  }

  @Test func `a local order takes a waiting change back first`() throws {
    try host.apply(agent, Modes.owned2)
    try host.apply(agent, Modes.owned3)
    let bundle = try Modes.owned5.get()
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, Modes.withdrawn4, transaction, from: host.connection())
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "now"))
    #expect(try host.ledger().outcome(of: transaction)?.result == .reverted)
    #expect(try host.ledger().committed?.accepted.serial == Serial(2))
    #expect(bundle.manifest != (try Modes.owned2.get()).manifest)
  }
}
