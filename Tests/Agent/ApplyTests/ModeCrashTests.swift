import Apply
import Core
import Glibc
import Release
import Testing
import Wire

/// Puts a crash or a fault at every call of every seam while a host with other people's rules changes its mode.
@Suite struct ModeCrashTests {
  struct Scenario: CustomStringConvertible, Sendable {
    let description: String
    let before: [Modes.Bundle]
    /// Nil for what root does at the console: a rollback.
    let change: Modes.Bundle?
    var hasNamespaces = true
  }

  static let scenarios = [
    Scenario(description: "first owned", before: [], change: Modes.owned2),
    Scenario(description: "owned to owned", before: [Modes.owned2], change: Modes.owned3),
    Scenario(description: "owned to withdrawn", before: [Modes.owned2], change: Modes.withdrawn3),
    Scenario(description: "owned to exclusive", before: [Modes.owned2], change: Modes.exclusive3),
    Scenario(description: "exclusive to owned", before: [Modes.exclusive2], change: Modes.owned3),
    Scenario(description: "exclusive to withdrawn", before: [Modes.exclusive2], change: Modes.withdrawn3),
    Scenario(description: "withdrawn to owned", before: [Modes.owned2, Modes.withdrawn3], change: Modes.owned5),
    Scenario(
      description: "owned to exclusive, without a rehearsal", before: [Modes.owned2], change: Modes.exclusive3,
      hasNamespaces: false),
    Scenario(description: "local rollback", before: [Modes.owned2, Modes.owned3], change: nil),
  ]

  struct Model {
    var old: PerFamily<String>
    var new: PerFamily<String>
    var oldBooted: PerFamily<String>
    var newBooted: PerFamily<String>
    var newContent: Digest?
  }

  static func prepare(_ scenario: Scenario, _ backend: Backend) throws -> (FakeHost, HostAgent) {
    let host = try Modes.host(backend)
    if !scenario.hasNamespaces {
      host.firewall.rehearsalProblem = FirewallProblem(.noNamespace, program: "unshare", family: nil, words: "")
    }
    let agent = try host.recoveredAgent()
    for bundle in scenario.before { try host.apply(agent, bundle) }
    return (host, agent)
  }

  @discardableResult
  static func perform(_ scenario: Scenario, _ host: FakeHost, _ agent: HostAgent) throws -> Outcome? {
    if let change = scenario.change { return try host.apply(agent, change) }
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "test"))
    return nil
  }

  static func model(_ scenario: Scenario, _ backend: Backend) throws -> Model {
    let (first, _) = try prepare(scenario, backend)
    let old = first.canonical
    first.cutPower()
    _ = try first.agent().restore()
    let (second, agent) = try prepare(scenario, backend)
    try perform(scenario, second, agent)
    let new = second.canonical
    let content = try second.ledger().committed?.content
    second.cutPower()
    _ = try second.agent().restore()
    return Model(
      old: old, new: new, oldBooted: first.canonical, newBooted: second.canonical, newContent: content)
  }

  static func check(_ host: FakeHost, _ model: Model, isBoot: Bool, _ place: Comment, floor: Serial?) throws {
    let ledger = try host.ledger()
    let now = host.canonical
    if ledger.committed?.content == model.newContent {
      #expect(now == (isBoot ? model.newBooted : model.new), place)
    } else {
      #expect(now == (isBoot ? model.oldBooted : model.old) || (isBoot && now == model.old), place)
    }
    #expect(ledger.open == nil && ledger.degraded == nil, place)
    #expect((ledger.floor?.serial ?? .none) >= (floor ?? .none), place)
    #expect(host.promise.armed == nil || isBoot, place)
  }

  @Test(arguments: scenarios, CrashTests.Recovery.allCases)
  func `a process that dies in any call leaves the old rules or the new, and other people's`(
    scenario: Scenario, recovery: CrashTests.Recovery
  ) throws {
    let backend = recovery == .restart ? Backend.nft : .legacy
    let model = try Self.model(scenario, backend)
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario, backend)
      let floor = try host.ledger().floor?.serial
      host.faults.arm(.die(number))
      _ = try? Self.perform(scenario, host, agent)
      guard host.faults.isDead else { break }
      let place: Comment = "\(scenario) \(recovery), call \(number): \(host.faults.log.last ?? "")"
      host.faults.restart()
      if recovery == .powerCut {
        host.cutPower()
        _ = try host.agent().restore()
      }
      _ = try host.recoveredAgent()
      try Self.check(host, model, isBoot: recovery == .powerCut, place, floor: floor)
    }
    print("crash points of \(scenario), \(recovery): \(number - 1)")
    #expect(number > 40)
  }

  /// The programs fail with it as ones that cannot be run, that refuse, and that are killed at their limit.
  static let faults: [(scenario: Scenario, errno: Int32)] =
    scenarios.map { ($0, EIO) } + scenarios.prefix(1).flatMap { [($0, ENOSPC), ($0, ENOMEM)] }
    + scenarios[3...3].flatMap { [($0, ENOSPC), ($0, ENOMEM)] }

  @Test(arguments: faults)
  func `a single call that fails leaves the old rules or the new, and other people's`(
    scenario: Scenario, errno: Int32
  ) throws {
    let model = try Self.model(scenario, .nft)
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario, .nft)
      let floor = try host.ledger().floor?.serial
      host.faults.arm(.fail(number), errno: errno)
      let result = Result { try Self.perform(scenario, host, agent) }
      let reached = host.faults.calls >= number
      let place: Comment = "\(scenario) \(errno), call \(number): \(reached ? host.faults.log[number - 1] : "none")"
      host.faults.restart()
      let isNew = try host.ledger().committed?.content == model.newContent
      #expect(host.canonical == (isNew ? model.new : model.old), place)
      if case .success(let outcome?) = result { #expect((outcome.result == .committed) == isNew, place) }
      guard reached else { break }
      _ = try host.recoveredAgent()
      try Self.check(host, model, isBoot: false, place, floor: floor)
    }
    print("fault points of \(scenario), errno \(errno): \(number - 1)")
    #expect(number > 40)
  }

  @Test(arguments: scenarios.filter { $0.change != nil })
  func `a process that dies in any call of its recovery recovers the next time`(scenario: Scenario) throws {
    let model = try Self.model(scenario, .nft)
    let (probe, probing) = try Self.prepare(scenario, .nft)
    probe.faults.restart()
    try Self.perform(scenario, probe, probing)
    // Dying in the middle of the second family's load leaves the most to do.
    let loading = try #require(probe.faults.log.lastIndex(of: "load ipv4")) + 1
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario, .nft)
      let floor = try host.ledger().floor?.serial
      host.faults.arm(.die(loading))
      _ = try? Self.perform(scenario, host, agent)
      host.faults.arm(.die(number))
      _ = try? host.agent().recover()
      guard host.faults.isDead else { break }
      let place: Comment = "\(scenario), call \(number) of recovery: \(host.faults.log.last ?? "")"
      host.faults.restart()
      _ = try host.recoveredAgent()
      try Self.check(host, model, isBoot: false, place, floor: floor)
      #expect(host.canonical == model.old, place)
    }
    print("crash points of the recovery of \(scenario): \(number - 1)")
    #expect(number > 20)
  }
}
