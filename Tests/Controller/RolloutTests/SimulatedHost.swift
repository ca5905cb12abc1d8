import Core
import Wire

@testable import Rollout

/// SplitMix64: the same run for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

let fleet = FleetID("lab")!
let h001 = HostID("h001")!
let ours = TransactionID(bytes: [UInt8](repeating: 1, count: 16))!
let theirs = TransactionID(bytes: [UInt8](repeating: 2, count: 16))!
let wanted = Digest(of: "manifest".utf8)
let older = Digest(of: "older".utf8)
let target = DeliveryMachine.Target(host: h001, fleet: fleet, transaction: ours, manifest: wanted)
let hello = AgentHello(version: 1, agentVersion: "0.1.0", host: h001, fleet: fleet)

func nonce(_ number: UInt8) -> Nonce { Nonce(bytes: [UInt8](repeating: number, count: 32))! }

func outcome(
  _ result: Outcome.Result, transaction: TransactionID = ours, manifest: Digest = wanted
) -> Outcome {
  Outcome(transaction: transaction, result: result, serial: Serial(8), manifest: manifest, detail: "why")
}

func makeReport(_ nonce: Nonce, manifest: Digest?, lastFailure: LastFailure? = nil) -> Report {
  Report(
    nonce: nonce, host: h001, fleet: fleet, time: UTCTime("2026-11-21T00:00:00Z")!, bootID: "boot",
    agentVersion: "0.1.0", architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9",
    committed: manifest.map {
      Committed(serial: Serial(7), manifest: $0, content: $0, at: UTCTime("2026-11-21T00:00:00Z")!)
    },
    lastFailure: lastFailure,
    families: PerFamily { _ in FamilyReport(expected: nil, observed: older, save: older, chains: []) },
    otherBackendRules: 0, conflicts: [], degraded: false, managementSource: "192.0.2.1")
}

/// An agent that keeps its promises: each transaction is carried out at most once, what it answers is durable, and a
/// crash in the middle goes back.
struct SimulatedHost {
  private(set) var committed: Digest? = older
  private(set) var recorded: [TransactionID: Outcome] = [:]
  private(set) var everApplied = false
  private var staged: Set<Int> = []
  private(set) var busy = false

  /// Nil: no answer, and the connection breaks.
  mutating func answer(
    _ message: DeliveryMachine.Action, on connection: Int, _ random: inout SeededGenerator
  ) -> DeliveryMachine.Event? {
    switch message {
    case .greet: return .hello(hello)
    case .stage:
      if random.chance(2) { return .refused(Refusal(code: .diskFull, detail: "full")) }
      staged.insert(connection)
      return .staged(ours, manifest: random.chance(1) ? older : wanted)
    case .apply:
      if let known = recorded[ours] { return .outcome(known) }
      guard staged.contains(connection) else { return .refused(Refusal(code: .malformed, detail: "nothing staged")) }
      if random.chance(5) { return .refused(Refusal(code: .busy, detail: "busy")) }
      if random.chance(5) { return .refused(Refusal(code: .rulesDoNotLoad, detail: "line 3")) }
      everApplied = true
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        committed = wanted
        recorded[ours] = outcome(.committed)
      case 6..<8: recorded[ours] = outcome(.reverted)
      case 8: recorded[ours] = outcome(.failed)
      default: return nil  // The power went: recovery puts the old rules back and keeps no answer.
      }
      return random.chance(10) ? nil : .outcome(recorded[ours]!)
    case .askReport(let nonce):
      let failure = recorded[ours].flatMap {
        $0.result == .committed ? nil : LastFailure(serial: Serial(8), result: $0.result, detail: "why")
      }
      return .report(makeReport(nonce, manifest: committed, lastFailure: failure))
    case .connect, .disconnect, .wakeUp, .finish: return nil
    }
  }
}
