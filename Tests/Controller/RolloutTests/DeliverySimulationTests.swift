import Core
import Foundation
import Testing
import Wire

@testable import Rollout

/// Whole deliveries in virtual time, over a network that loses, repeats, delays and reorders, to hosts that crash, from
/// controllers that do. PORTCULLIS_SIMULATION_RUNS says how many, PORTCULLIS_SIMULATION_SEED where to begin: a failing
/// seed alone replays its run.
@Suite(.serialized) struct DeliverySimulationTests {
  static let weathers: [(name: String, weather: Weather)] = [
    ("well", Weather(hostMayRefuse: false)),
    ("well, slow and short", Weather(longestDelay: 400, hostMayRefuse: false, seconds: 15)),
    ("well, hosts refuse", Weather()),
    ("lossy", Weather(loss: 10, duplication: 10, longestDelay: 3_000)),
    ("very lossy", Weather(loss: 25, duplication: 20, longestDelay: 1_000, connectionAttempts: 100)),
    ("heals", Weather(loss: 40, longestDelay: 1_000, connectionAttempts: 100, healsAt: .seconds(40))),
    (
      "a caller that mixes up",
      Weather(
        loss: 10, duplication: 30, longestDelay: 1_000, leakFromOldConnections: 30, forgery: 10)
    ),
    ("hosts crash", Weather(loss: 3, longestDelay: 300, hostCrash: 5, connectionAttempts: 20)),
    ("controllers crash", Weather(longestDelay: 300, controllerCrash: 8, connectionAttempts: 20)),
    (
      "everything crashes",
      Weather(
        loss: 5, duplication: 5, longestDelay: 1_000, hostCrash: 3, controllerCrash: 5, connectionAttempts: 20,
        seconds: 15)
    ),
    ("shut in", Weather(cutsManagement: true, hostMayRefuse: false)),
    ("shut in at once", Weather(loss: 2, cutsManagement: true, cutsEverything: true, seconds: 15)),
  ].map { ($0.0, $0.1) }

  static func number(_ name: String) -> UInt64? { ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) }
  static let runs = number("PORTCULLIS_SIMULATION_RUNS") ?? 20_000
  static let seed = number("PORTCULLIS_SIMULATION_SEED") ?? .random(in: .min ... .max)

  @Test func `whatever happens, what is claimed of a host is true and every delivery ends`() throws {
    let each = max(1, Self.runs / UInt64(Self.weathers.count))
    let clock = ContinuousClock()
    let start = clock.now
    var violations = 0
    var (falseSuccesses, stuck) = (0, 0)
    for (name, weather) in Self.weathers {
      var counts: [String: Int] = [:]
      for index in 0..<each {
        let seed = Self.seed &+ index
        let run = DeliverySimulation(seed: seed, weather)
        counts[run.result.map(Self.word) ?? "none", default: 0] += 1
        guard let violation = run.violation else { continue }
        violations += 1
        if run.isFalseSuccess { falseSuccesses += 1 }
        if run.isStuck { stuck += 1 }
        if violations <= 5 { Issue.record("\(name), seed \(seed): \(violation)") }
      }
      print(
        "delivery, \(name): \(counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
      )
      // A world in which nothing ever succeeds, or always, proves nothing.
      if weather.cutsManagement {
        #expect(counts["reverted", default: 0] > Int(each) / 2, "\(name)")
      } else {
        #expect(counts["current", default: 0] > 0, "\(name)")
      }
    }
    let seconds = (clock.now - start) / .seconds(1)
    print(
      "delivery simulation: \(each * UInt64(Self.weathers.count)) runs from seed \(Self.seed), \(violations) violations, \(seconds) s"
    )
    #expect(violations == 0)
    try Self.record([
      ("simulation_runs", each * UInt64(Self.weathers.count)), ("simulation_violations", UInt64(violations)),
      ("simulation_false_success", UInt64(falseSuccesses)), ("simulation_stuck", UInt64(stuck)),
    ])
  }

  /// For the table of `make bench-safety`.
  private static func record(_ figures: [(String, UInt64)]) throws {
    guard let path = ProcessInfo.processInfo.environment["PORTCULLIS_FIGURES"] else { return }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.seekToEnd()
    try file.write(contentsOf: Data(figures.map { "\($0.0) \($0.1)\n" }.joined().utf8))
  }

  @Test func `rules that shut every way in are reported as such once the host went back`() {
    var weather = Weather()
    weather.hostMayRefuse = false
    weather.cutsManagement = true
    for seed in 0..<200 {
      let run = DeliverySimulation(seed: Self.seed &+ UInt64(seed), weather)
      guard case .reverted(let why) = run.result else {
        Issue.record("seed \(Self.seed &+ UInt64(seed)): \(String(describing: run.result))")
        continue
      }
      #expect(why.hasPrefix("no new connection could be made within") && why.contains("so the host went back"))
      #expect(run.finishedAt < .seconds(70), "seed \(Self.seed &+ UInt64(seed)): \(run.finishedAt)")
    }
  }

  @Test func `a host that applied is current when the network heals in time`() {
    let weather = Weather(
      loss: 40, duplication: 10, longestDelay: 1_000, connectionAttempts: 100, hostMayRefuse: false,
      healsAt: .seconds(20))
    var applied = 0
    for index in 0..<3_000 {
      let seed = Self.seed &+ UInt64(index)
      let run = DeliverySimulation(seed: seed, weather)
      guard run.host.toldToApply.contains(ours) else { continue }
      applied += 1
      if let violation = run.violation { Issue.record("seed \(seed): \(violation)") }
      guard case .current? = run.result else {
        Issue.record("seed \(seed): \(String(describing: run.result))")
        continue
      }
    }
    #expect(applied > 1_000)
  }

  static func word(_ result: DeliveryResult) -> String {
    switch result {
    case .current: "current"
    case .awaiting: "awaiting"
    case .reverted: "reverted"
    case .failed: "failed"
    case .stale: "stale"
    case .unreachable: "unreachable"
    case .unknown: "unknown"
    }
  }
}
