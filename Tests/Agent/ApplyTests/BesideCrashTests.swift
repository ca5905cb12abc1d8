import Apply
import Core
import Testing
import Wire

/// Puts a crash or a fault at every call of every seam while a host changes from one bundle with ipsets and kernel
/// settings to another.
@Suite struct BesideCrashTests {
  struct Scenario: CustomStringConvertible, Sendable {
    let description: String
    let before: [Modes.Bundle]
    let change: Modes.Bundle
  }

  static let scenarios = [
    Scenario(description: "first", before: [], change: Beside.old),
    Scenario(description: "others", before: [Beside.old], change: Beside.new),
    Scenario(description: "owned instead", before: [Beside.old], change: Beside.owned),
    Scenario(description: "none any more", before: [Beside.old], change: Beside.none),
    Scenario(description: "withdrawn", before: [Beside.new], change: Beside.withdrawn),
  ]

  static func prepare(_ scenario: Scenario, _ backend: Backend = .nft) throws -> (FakeHost, HostAgent) {
    let host = try Beside.host(backend)
    let agent = try host.recoveredAgent()
    for bundle in scenario.before { try host.apply(agent, bundle) }
    return (host, agent)
  }

  struct Model {
    let old: HostPicture
    let new: HostPicture
    let oldBooted: HostPicture
    let newBooted: HostPicture
    let newContent: Digest?
  }

  static func model(_ scenario: Scenario) throws -> Model {
    let (first, _) = try prepare(scenario)
    let old = HostPicture(first)
    first.cutPower()
    _ = try first.agent().restore()
    let (second, agent) = try prepare(scenario)
    #expect(try second.apply(agent, scenario.change).result == .committed)
    let new = HostPicture(second)
    let content = try second.ledger().committed?.content
    second.cutPower()
    _ = try second.agent().restore()
    return Model(
      old: old, new: new, oldBooted: HostPicture(first), newBooted: HostPicture(second), newContent: content)
  }

  private static func check(_ host: FakeHost, _ model: Model, isBoot: Bool, _ place: Comment) throws {
    let ledger = try host.ledger()
    let now = HostPicture(host)
    if ledger.committed?.content == model.newContent {
      #expect(now == (isBoot ? model.newBooted : model.new), place)
    } else {
      #expect(now == (isBoot ? model.oldBooted : model.old), place)
    }
    #expect(ledger.open == nil && ledger.degraded == nil, place)
  }

  @Test(arguments: scenarios, CrashTests.Recovery.allCases)
  func `a process that dies in any call leaves the old rules, sets and settings or the new ones`(
    scenario: Scenario, recovery: CrashTests.Recovery
  ) throws {
    let model = try Self.model(scenario)
    #expect(model.old != model.new)
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario)
      host.faults.arm(.die(number))
      _ = try? host.apply(agent, scenario.change)
      guard host.faults.isDead else { break }
      let place: Comment = "\(scenario) \(recovery), call \(number): \(host.faults.log.last ?? "")"
      host.faults.restart()
      if recovery == .powerCut {
        host.cutPower()
        for (name, member) in Beside.foreign {
          host.firewall.sets.all[name] = FakeSets.Held(type: "hash:ip family inet", members: [member])
        }
        _ = try host.agent().restore()
      }
      _ = try host.recoveredAgent()
      if recovery == .powerCut { for name in Beside.foreign.keys { host.firewall.sets.all[name] = nil } }
      try Self.check(host, model, isBoot: recovery == .powerCut, place)
      #expect(
        try [.committed, .unchanged].contains(host.apply(try host.recoveredAgent(), scenario.change).result), place)
    }
    print("crash points of \(scenario), \(recovery): \(number - 1)")
    #expect(number > 40)
  }

  @Test(arguments: scenarios)
  func `a single call that fails leaves the old ones or the new ones, and the answer says which`(
    scenario: Scenario
  ) throws {
    let model = try Self.model(scenario)
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario)
      host.faults.arm(.fail(number))
      let result = Result { try host.apply(agent, scenario.change) }
      let reached = host.faults.calls >= number
      let place: Comment = "\(scenario), call \(number): \(reached ? host.faults.log[number - 1] : "none")"
      host.faults.restart()
      if case .success(let outcome) = result { #expect([.committed, .reverted].contains(outcome.result), place) }
      // What could not be cleared away is cleared away by the next start.
      _ = try host.recoveredAgent()
      try Self.check(host, model, isBoot: false, place)
      if case .success(let outcome) = result {
        #expect((HostPicture(host) == model.new) == (outcome.result == .committed), place)
      } else {
        #expect(HostPicture(host) == model.old, place)
      }
      guard reached else { break }
    }
    #expect(number > 40)
  }

  @Test(arguments: scenarios) func `a process that dies in any call of its recovery recovers the next time`(
    scenario: Scenario
  ) throws {
    let model = try Self.model(scenario)
    let (probe, probing) = try Self.prepare(scenario)
    probe.faults.restart()
    try probe.apply(probing, scenario.change)
    let place = try #require(probe.faults.log.lastIndex { $0.hasPrefix("load ipv4") || $0.hasPrefix("write net") }) + 1
    var number = 0
    while true {
      number += 1
      let (host, agent) = try Self.prepare(scenario)
      host.faults.arm(.die(place))
      _ = try? host.apply(agent, scenario.change)
      host.faults.arm(.die(number))
      _ = try? host.agent().recover()
      guard host.faults.isDead else { break }
      let words: Comment = "\(scenario), call \(number) of recovery: \(host.faults.log.last ?? "")"
      host.faults.restart()
      _ = try host.recoveredAgent()
      try Self.check(host, model, isBoot: false, words)
    }
    #expect(number > 10)
  }
}
