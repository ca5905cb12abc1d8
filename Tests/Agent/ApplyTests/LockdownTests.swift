import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Orders on a host in memory: what they do, and what they leave alone.
@Suite struct LockdownTests {
  @Test func `the order that locked mends the lock although one for others came since`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    #expect(try scene.unlock(8, scope: LockScope(any: ["db"])).result == .outOfScope)
    scene.strip(.ipv6)
    #expect(try scene.lock(7).result == .repeated)
    #expect(try scene.holds("isolate"))
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(8))
    #expect(try scene.unlock(9).result == .lifted)
    #expect(throws: Refusal.self) { try scene.lock(7) }
  }

  @Test(arguments: Backend.allCases) func `an order locks both families and touches nothing beneath`(
    backend: Backend
  ) throws {
    let scene = try LockScene(backend)
    let beneath = scene.beneath
    scene.host.firewall.cuts = [12]
    let obeyed = try scene.lock(7, liftsAfter: 7200)
    #expect(obeyed.result == .locked && obeyed.epoch == Epoch(7) && obeyed.flowsCut == 12)
    #expect(obeyed.warnings.isEmpty)
    #expect(try scene.holds("isolate"))
    #expect(scene.beneath == beneath)
    let lock = try #require(obeyed.lock)
    #expect(lock.profile == ProfileName("isolate") && lock.rank == LockRank(30) && lock.phase == .locked)
    #expect(lock.principals == ["lena"] && lock.reason == "INC-991" && lock.serial == Serial(7))
    #expect(lock.secondsLeft == 7200 && lock.differences == PerFamily(ipv4: nil, ipv6: nil))
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(7))
    let report = try scene.agent.report(.random(), managementSource: "")
    #expect(report.lockdown?.lock?.epoch == Epoch(7) && report.lockdown?.heard == Epoch(7))
    #expect(report.lockdown?.profiles.map(\.name.description) == LockScene.ranks.map(\.name))
    #expect(report.lockdown?.profiles.allSatisfy { $0.problem == nil } == true)
    // A host that is locked as ordered differs in nothing.
    for family in Family.allCases { #expect(report.families[family].observed == report.families[family].expected) }
  }

  @Test(arguments: Backend.allCases) func `an order runs two restores and two saves, and no other program`(
    backend: Backend
  ) throws {
    let scene = try LockScene(backend)
    func programs(_ act: () throws -> Void) throws -> [String] {
      scene.host.faults.restart()
      let rehearsals = scene.host.firewall.rehearsals.count
      try act()
      #expect(scene.host.firewall.rehearsals.count == rehearsals)
      return scene.host.faults.log.filter {
        ["load", "save", "ipset", "rehearse", "cut"].contains($0.prefix { $0 != " " })
      }
    }
    let act = ["load ipv6", "load ipv4", "cut", "save ipv4", "save ipv6"]
    #expect(try programs { try scene.lock(7, "no-ingress") } == act)
    // A tighter one in its place, the same again, and what is left to do afterwards.
    #expect(try programs { try scene.lock(8) } == act)
    let order = try SignedOrders.lockdown(SignedOrders.terms(9))
    #expect(try programs { _ = try scene.agent.obey(order, from: scene.host.connection()) } == act)
    #expect(
      try programs { _ = try scene.agent.obey(order, from: scene.host.connection()) } == ["save ipv4", "save ipv6"])
    #expect(try programs { scene.agent.lockTick() }.isEmpty)
  }

  @Test func `old connections are cut but for those that the profile's own rules let live`() throws {
    let scene = try LockScene()
    try scene.lock(7, "storage")
    let patterns = try #require(scene.host.firewall.spared.last)
    func flow(_ source: String, _ port: UInt16) -> FlowTuple {
      FlowTuple(
        source: AddressPrefix(source)!, sourcePort: 40_000, destination: AddressPrefix("192.0.2.1")!,
        destinationPort: port)
    }
    let kept = KeptFlows(patterns, on: [try #require(AddressPrefix("192.0.2.1"))])
    #expect(kept.spare(flow("192.0.2.7", 22)))
    #expect(kept.spare(flow("198.51.100.9", 3260)))
    #expect(!kept.spare(flow("198.51.100.9", 22)))
  }

  @Test func `the same order again is answered by a look, and what somebody took away is loaded again`() throws {
    let scene = try LockScene()
    let order = try SignedOrders.lockdown(SignedOrders.terms(7))
    _ = try scene.agent.obey(order, from: scene.host.connection())
    let loads = scene.host.firewall.loads
    let journal = scene.journal
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .repeated)
    #expect(scene.host.firewall.loads == loads && scene.journal == journal)
    scene.host.firewall.kernel.ipv6["mangle"] = nil
    let again = try scene.agent.obey(order, from: scene.host.connection())
    #expect(again.result == .repeated && again.warnings.count == 1)
    #expect(try scene.holds("isolate"))
    // As many rules as before, that lead where they did.
    scene.replace("-A PCLLOCK-INPUT -i lo -j RETURN", by: "-A PCLLOCK-INPUT -i eth0 -j RETURN", .ipv4)
    #expect(try !scene.holds("isolate"))
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .repeated)
    #expect(try scene.holds("isolate"))
    #expect(scene.journal == journal)
  }

  @Test func `an unlock leaves what was there, and a later order may lock again`() throws {
    let scene = try LockScene()
    let before = scene.host.canonical
    try scene.lock(7)
    #expect(scene.host.canonical != before)
    #expect(try scene.unlock(8).result == .lifted)
    #expect(scene.isOpen && scene.host.canonical == before)
    #expect(
      try scene.host.ledger().lastLift
        == LastLift(epoch: Epoch(7), cause: .order(Epoch(8)), at: SignedBundles.now))
    #expect(try scene.unlock(9).result == .nothingToLift)
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(9))
    #expect(try scene.lock(10, "no-ingress").result == .locked)
    #expect(try scene.holds("no-ingress"))
  }

  @Test func `a tighter order takes the other's place without a moment in between, and a looser one is refused`() throws
  {
    let scene = try LockScene()
    try scene.lock(7, "no-ingress", liftsAfter: 3600)
    var opened = false
    scene.host.firewall.beforeLoad = { firewall, family in
      if LockLayer.split(Ruleset(tables: Array(firewall.kernel[family].values))).layer.tables.isEmpty { opened = true }
    }
    #expect(try scene.lock(8, "isolate", liftsAfter: 7200).result == .locked)
    #expect(!opened)
    #expect(try scene.holds("isolate"))
    for (profile, after) in [("no-ingress", nil), ("isolate", 7199), ("storage", 60)] as [(String, UInt32?)] {
      let refusal = #expect(throws: Refusal.self) { try scene.lock(9, profile, liftsAfter: after) }
      #expect(refusal?.code == .wouldLoosen)
      #expect(try scene.holds("isolate"))
    }
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(8))
  }

  @Test func `no profile opens a chain that the one in force drops, whatever its rank`() throws {
    let scene = try LockScene()
    try scene.lock(7, "no-egress")
    for isDrill in [true, false] {
      let refusal = #expect(throws: Refusal.self) { try scene.lock(8, "no-ingress", isDrill: isDrill) }
      #expect(refusal?.code == .wouldLoosen)
      #expect(refusal?.detail.contains("profile no-ingress lets OUTPUT (ipv4) go on where no-egress") == true)
    }
    #expect(try scene.holds("no-egress"))
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(7))
    // The same profile once more opens nothing.
    #expect(try scene.lock(8, "no-egress").result == .locked)
    #expect(try scene.lock(9, "isolate").result == .locked)
    #expect(try scene.holds("isolate"))
  }

  @Test func `where nobody can read any more what was ordered, every chain counts as dropped`() throws {
    let scene = try LockScene()
    try scene.lock(7, "no-egress")
    scene.host.disk.tamper(try scene.profilePath(1), [1])
    try scene.reboot()
    #expect(scene.holdsBuiltIn)
    let refusal = #expect(throws: Refusal.self) { try scene.lock(8, "no-ingress") }
    #expect(refusal?.code == .wouldLoosen)
    #expect(scene.holdsBuiltIn)
  }

  @Test func `an order for other hosts is heard and no more`() throws {
    let scene = try LockScene()
    let before = scene.host.canonical
    #expect(try scene.lock(7, scope: LockScope(any: ["database"])).result == .outOfScope)
    #expect(scene.host.canonical == before)
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(7))
    #expect(try scene.lock(8, scope: LockScope(any: ["web"], all: ["prod"], none: ["host:h002"])).result == .locked)
    // An unlock for others leaves it.
    #expect(try scene.unlock(9, scope: LockScope(any: ["host:h002"])).result == .outOfScope)
    #expect(try scene.holds("isolate"))
    #expect(try scene.host.ledger().epochFloor?.epoch == Epoch(9))
  }

  @Test func `a drill checks all and changes nothing`() throws {
    let scene = try LockScene()
    let (journal, kernel, loads) = (scene.journal, scene.host.firewall.kernel, scene.host.firewall.loads)
    let obeyed = try scene.lock(7, isDrill: true)
    #expect(obeyed.result == .drilled && obeyed.lock == nil)
    #expect(scene.host.firewall.rehearsals.last?.texts.ipv4.keepsOthers == true)
    #expect(scene.journal == journal && scene.host.firewall.kernel == kernel && scene.host.firewall.loads == loads)
    #expect(scene.agent.lock == nil)
    // The same epoch may be used in earnest, and then the drill is an old order.
    try scene.lock(7)
    let refusal = #expect(throws: Refusal.self) { try scene.lock(7, isDrill: true) }
    #expect(refusal?.code == .equalEpochOtherBytes)
    #expect(try scene.unlock(8).result == .lifted)
  }

  @Test func `a drill says when the profile would not load`() throws {
    let scene = try LockScene()
    scene.host.firewall.rehearsalProblem = FirewallProblem(
      .refused, program: "iptables-restore", family: .ipv4, words: "no such match")
    #expect(throws: Refusal.self) { try scene.lock(7, isDrill: true) }
    scene.host.firewall.rehearsalProblem = FirewallProblem(
      .noNamespace, program: "unshare", family: nil, words: "not here")
    #expect(try scene.lock(7, isDrill: true).warnings == ["not rehearsed: not here"])
    scene.host.firewall.rehearsalProblem = nil
    scene.host.firewall.cutProblem = LockFailureTests.noConntrack
    #expect(
      try scene.lock(7, isDrill: true).warnings == ["old connections could not all be cut: ctnetlink: no conntrack"])
    scene.host.firewall.cutProblem = nil
    scene.host.firewall.corruptRehearsal = { kernel in
      var corrupt = kernel
      corrupt.ipv6["mangle"]?.chains.removeAll { $0.name == "PCLLOCK-OUTPUT" }
      return corrupt
    }
    let refusal = #expect(throws: Refusal.self) { try scene.lock(7, isDrill: true) }
    #expect(refusal?.code == .cannotLock)
  }

  @Test func `an order from a place that the profile does not keep is obeyed, and says so`() throws {
    let scene = try LockScene()
    let ends = ConnectionEnds(
      source: "198.51.100.3", sourcePort: 5000, destination: "192.0.2.1", destinationPort: 22)
    let obeyed = try scene.agent.obey(
      try SignedOrders.lockdown(SignedOrders.terms(7)),
      from: ManagementConnection(ends: ends, opened: scene.host.boot.now()))
    #expect(obeyed.result == .locked)
    #expect(obeyed.warnings == ["the order came from 198.51.100.3, which the profile does not let in"])
  }
}
