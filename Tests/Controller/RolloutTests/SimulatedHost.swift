import Core
import TestSupport
import Wire

@testable import Rollout

extension Random {
  mutating func chance(_ percent: Int) -> Bool { percent > 0 && below(100) < percent }
}

let fleet = FleetID("lab")!
let h001 = HostID("h001")!
let ours = TransactionID(bytes: [UInt8](repeating: 1, count: 16))!
let theirs = TransactionID(bytes: [UInt8](repeating: 2, count: 16))!
let wanted = Digest(of: "manifest".utf8)
let older = Digest(of: "older".utf8)
let lastReleased = Digest(of: "last released".utf8)
let theirBundle = Digest(of: "another controller's".utf8)
/// In these tests a manifest's digest stands for its content, too.
let premise = Premise(committed: makeReport(nonce(0), manifest: older).committed, released: [], content: wanted)
let target = DeliveryMachine.Target(host: h001, fleet: fleet, transaction: ours, manifest: wanted, premise: premise)
let hello = AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: h001, fleet: fleet)

let nonces = (0...255).map { Nonce(bytes: [UInt8](repeating: UInt8($0), count: 32))! }
func nonce(_ number: UInt8) -> Nonce { nonces[Int(number)] }

func outcome(
  _ result: Outcome.Result, transaction: TransactionID = ours, manifest: Digest = wanted
) -> Outcome {
  Outcome(
    transaction: transaction, result: result, serial: Serial(8), manifest: manifest,
    detail: result == .reverted || result == .failed ? "why" : "")
}

func makeReport(_ nonce: Nonce, manifest: Digest?, pending: PendingChange? = nil) -> Report {
  Report(
    nonce: nonce, host: h001, fleet: fleet, time: UTCTime("2026-11-21T00:00:00Z")!, bootID: "boot",
    agentVersion: "0.1.0", architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9",
    committed: manifest.map {
      Committed(serial: Serial(7), manifest: $0, content: $0, at: UTCTime("2026-11-21T00:00:00Z")!)
    },
    lastFailure: nil, pending: pending,
    families: PerFamily { _ in FamilyReport(expected: nil, observed: older, save: older, chains: []) },
    otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.1")
}

/// An agent that keeps its promises: it arms a deadline before it changes anything, keeps an answer durably before it
/// gives it, lets a change wait for a confirmation over another connection, and goes back at the deadline and after a
/// crash. Its clock is the simulation's.
struct SimulatedHost {
  struct Pending {
    let transaction: TransactionID
    let nonce: Nonce
    let end: Duration
    /// Those that carried its apply may not confirm it.
    var connections: Set<Int>
  }

  private(set) var committed = older
  /// What the kernel holds: another thing than committed only while a change waits.
  private(set) var loaded = older
  private(set) var recorded: [TransactionID: Outcome] = [:]
  private(set) var toldToApply: Set<TransactionID> = []
  private(set) var pending: Pending?
  private(set) var isDown = false
  private(set) var rollbacks = 0
  /// Programs run; the change is armed and not loaded yet.
  private var applying: (transaction: TransactionID, connection: Int, end: Duration)?
  private var staged: Set<Int> = []
  /// Sockets that the running daemon holds.
  private var open: Set<Int> = []
  private var nextNonce = 100
  var mayRefuse = true

  enum Answer {
    case now(DeliveryMachine.Event)
    /// Ask `appliedNow` after this long.
    case after(Duration)
    case closed
  }

  private static let someReport = makeReport(nonce(0), manifest: older)

  mutating func connect(_ connection: Int) { open.insert(connection) }

  /// Its own deadline belongs to the daemon: nothing that comes from outside is looked at before it.
  mutating func advance(to now: Duration) {
    if let pending, now >= pending.end { takeBack(pending.transaction) }
  }

  private mutating func takeBack(_ transaction: TransactionID) {
    recorded[transaction] = outcome(.reverted, transaction: transaction)
    pending = nil
    loaded = committed
    rollbacks += 1
  }

  /// The daemon is killed or the power goes: sockets and what was not durable are gone, and recovery goes back.
  mutating func crash(_ random: inout Random) {
    open = []
    staged = []
    isDown = true
    if let pending { takeBack(pending.transaction) }
    if let applying {
      // Before the change was armed the journal knows nothing of it.
      if random.chance(70) { recorded[applying.transaction] = outcome(.reverted, transaction: applying.transaction) }
      self.applying = nil
      loaded = committed
    }
  }

  mutating func start() { isDown = false }

  mutating func answer(
    _ message: DeliveryMachine.Action, of transaction: TransactionID, _ terms: ConfirmationTerms, on connection: Int,
    at now: Duration, _ random: inout Random
  ) -> Answer {
    guard open.contains(connection) else { return .closed }
    switch message {
    case .greet: return .now(.hello(hello))
    case .stage:
      if mayRefuse, random.chance(2) { return .now(.refused(Refusal(code: .diskFull, detail: "full"))) }
      staged.insert(connection)
      return .now(.staged(transaction, manifest: mayRefuse && random.chance(1) ? older : wanted))
    case .apply:
      guard staged.contains(connection) else {
        return .now(.refused(Refusal(code: .malformed, detail: "nothing staged")))
      }
      if let known = recorded[transaction] { return .now(.outcome(known)) }
      if pending?.transaction == transaction {
        pending!.connections.insert(connection)
        return .now(.applied(applied(now)))
      }
      guard pending == nil, applying == nil, !(mayRefuse && random.chance(3)) else {
        return .now(.refused(Refusal(code: .busy, detail: "busy")))
      }
      if mayRefuse, random.chance(3) { return .now(.refused(Refusal(code: .rulesDoNotLoad, detail: "line 3"))) }
      toldToApply.insert(transaction)
      if committed == wanted {
        recorded[transaction] = outcome(.unchanged, transaction: transaction)
        return .now(.outcome(recorded[transaction]!))
      }
      applying = (transaction, connection, now + .seconds(Int(terms.seconds)))
      return .after(.milliseconds(20 + random.below(3_000)))
    case .confirm(let confirmation):
      if let known = recorded[confirmation.transaction] { return .now(.outcome(known)) }
      guard let pending, pending.transaction == confirmation.transaction, confirmation.manifest == wanted,
        pending.nonce == confirmation.nonce, !pending.connections.contains(connection)
      else { return .now(.refused(Refusal(code: .notConfirmable, detail: "not this one"))) }
      committed = wanted
      self.pending = nil
      recorded[pending.transaction] = outcome(.committed, transaction: pending.transaction)
      return .now(.outcome(recorded[pending.transaction]!))
    case .askReport(let nonce):
      var report = Self.someReport
      report.nonce = nonce
      report.committed?.manifest = committed
      report.committed?.content = committed
      report.pending = pending.map {
        PendingChange(
          transaction: $0.transaction, manifest: wanted, serial: Serial(8), millisecondsLeft: 1, isManual: false)
      }
      return .now(.report(report))
    case .connect, .disconnect, .wakeUp, .finish: return .closed
    }
  }

  /// The programs are done. Nil when a crash came first.
  mutating func appliedNow(
    at now: Duration, _ random: inout Random
  ) -> (event: DeliveryMachine.Event, connection: Int)? {
    guard let applying else { return nil }
    self.applying = nil
    let transaction = applying.transaction
    let luck = mayRefuse ? random.below(100) : 0
    guard luck < 85 else {
      recorded[transaction] = outcome(luck < 95 ? .reverted : .failed, transaction: transaction)
      return (.outcome(recorded[transaction]!), applying.connection)
    }
    loaded = wanted
    nextNonce += 1
    pending = Pending(
      transaction: transaction, nonce: nonces[nextNonce % 256], end: applying.end, connections: [applying.connection])
    return (.applied(applied(now)), applying.connection)
  }

  private func applied(_ now: Duration) -> AppliedChange {
    let (seconds, attoseconds) = (pending!.end - now).components
    return AppliedChange(
      transaction: pending!.transaction, manifest: wanted, nonce: pending!.nonce,
      millisecondsLeft: UInt32(max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000)), warnings: [])
  }
}
