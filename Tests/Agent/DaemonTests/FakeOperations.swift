import Apply
import Core
import Foundation
import Glibc
import Synchronization
import Wire

/// A host in memory. It counts what it is asked, can be made to refuse or fail, and an apply or a report can be held up
/// until the test lets it go on. A change waits for its confirmation when `waits` says how long.
final class FakeOperations: AgentOperations, Sendable {
  struct State {
    var log: [String] = []
    var checkRefusal: Refusal?
    var recoverError: Reason?
    var text: [UInt8] = []
    var chains = 0
    /// How long a change waits to be confirmed; nil when an apply ends in a commit at once.
    var waits: Duration?
    var pending: Pending?
    /// So many times taking the change back leaves it where it is.
    var failingExpiries = 0
    var expiries: [(why: String, at: BootTime)] = []
    /// The connections that applies and decisions came over.
    var connections: [ManagementConnection] = []
    var changes = ChangeLog()
    /// What the next look finds.
    var unseen: [HostChange] = []
    var looks: [(actors: [HostChange.Actor], at: BootTime)] = []
    /// Why looking fails.
    var lookRefusal: Refusal?
    var isAnnounced = true
    var isBehind = false
    /// Done once, while the next look looks.
    var duringLook: (@Sendable () -> Void)?
    var keeps = 0
    var isDiskFull = false
    var orderRefusal: Refusal?
    var orderResult = Obeyed.Result.locked
    /// Done while an order is obeyed.
    var duringOrder: (@Sendable () -> Void)?
    /// Done while a report is made.
    var duringReport: (@Sendable () -> Void)?
    var lockDue: BootTime?
    /// After the next turn.
    var nextLockDue: BootTime?
    var tickMovesRules = false
  }

  struct Pending {
    var change: AppliedChange
    var deadline: BootTime
    var connection: ManagementConnection

    func outcome(_ result: Outcome.Result) -> Outcome {
      Outcome(
        transaction: change.transaction, result: result, serial: Serial(1), manifest: change.manifest, detail: "")
    }
  }

  let host = HostID("h001")!
  let fleet = FleetID("lab")!
  let state = Mutex(State())
  /// An apply says that it began, then waits for leave to go on, when `holdsApply`.
  let applyBegan = DispatchSemaphore(value: 0)
  let applyMayEnd = DispatchSemaphore(value: 0)
  let holdsApply: Bool
  /// The same for the first report.
  let reportBegan = DispatchSemaphore(value: 0)
  let reportMayEnd = DispatchSemaphore(value: 0)
  private let holdsReport: Mutex<Bool>

  init(holdsApply: Bool = false, holdsReport: Bool = false, waits: Duration? = nil) {
    self.holdsApply = holdsApply
    self.holdsReport = Mutex(holdsReport)
    state.withLock { $0.waits = waits }
  }

  var log: [String] { state.withLock { $0.log } }
  private func note(_ what: String) { state.withLock { $0.log.append(what) } }

  func recover() throws {
    note("recover")
    if let error = state.withLock({ $0.recoverError }) { throw error }
  }

  func check(_ files: [BundleFile: [UInt8]]) throws(Refusal) {
    note("check \(files.values.reduce(0) { $0 + $1.count })")
    if let refusal = state.withLock({ $0.checkRefusal }) { throw refusal }
  }

  func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest, terms: ConfirmationTerms,
    from connection: ManagementConnection
  ) throws(Refusal) -> ApplyAnswer {
    note("apply begins")
    if holdsApply {
      applyBegan.signal()
      applyMayEnd.wait()
    }
    note("apply ends")
    let refusal: Refusal?
    let answer: ApplyAnswer
    (refusal, answer) = state.withLock { state in
      state.connections.append(connection)
      let committed = Outcome(
        transaction: transaction, result: .committed, serial: Serial(1), manifest: manifest, detail: "")
      guard let waits = state.waits else { return (nil, .outcome(committed)) }
      if let pending = state.pending {
        guard pending.change.transaction == transaction else {
          return (Refusal(code: .busy, detail: "a change waits to be confirmed"), .applied(pending.change))
        }
        return (nil, .applied(pending.change))
      }
      let change = AppliedChange(
        transaction: transaction, manifest: manifest, nonce: Sample.nonce,
        millisecondsLeft: UInt32(waits / .milliseconds(1)), warnings: [])
      state.pending = Pending(change: change, deadline: .now + waits, connection: connection)
      return (nil, .applied(change))
    }
    if let refusal { throw refusal }
    return answer
  }

  func confirm(
    _ confirmation: ChangeConfirmation, from connection: ManagementConnection
  ) throws(Refusal) -> Outcome {
    note("confirm from \(connection.source):\(connection.ends?.sourcePort ?? 0)")
    return try decide(.committed, connection) { pending in
      let change = pending.change
      return confirmation.transaction == change.transaction && confirmation.manifest == change.manifest
        && confirmation.nonce == change.nonce && connection.ends != pending.connection.ends
    }
  }

  func cancel(_ transaction: TransactionID) throws(Refusal) -> Outcome {
    note("cancel")
    return try decide(.reverted, nil) { $0.change.transaction == transaction }
  }

  private func decide(
    _ result: Outcome.Result, _ connection: ManagementConnection?, if fits: (Pending) -> Bool
  ) throws(Refusal) -> Outcome {
    let pending = state.withLock { state -> Pending? in
      if let connection { state.connections.append(connection) }
      guard let pending = state.pending, fits(pending) else { return nil }
      state.pending = nil
      return pending
    }
    guard let pending else { throw Refusal(code: .notConfirmable, detail: "not this one") }
    return pending.outcome(result)
  }

  var confirmBy: BootTime? { state.withLock { $0.pending?.deadline } }

  func expire(because why: String) -> Result<Outcome, Refusal>? {
    note("expire")
    return state.withLock { state in
      state.expiries.append((why, .now))
      guard let pending = state.pending else { return nil }
      if state.failingExpiries > 0 {
        state.failingExpiries -= 1
        return .failure(Refusal(code: .diskFull, detail: "appending a record to the journal: disk full"))
      }
      state.pending = nil
      return .success(pending.outcome(.reverted))
    }
  }

  func obey(_ order: LocalOrder) throws(Refusal) -> String {
    note("obey \(order.deed): \(order.reason)")
    return "did \(order.deed)"
  }

  func obey(_ delivery: OrderDelivery, from connection: ManagementConnection) throws(Refusal) -> Obeyed {
    note("order from \(connection.source)")
    state.withLock { $0.duringOrder }?()
    return try state.withLock { (state) throws(Refusal) in
      if let refusal = state.orderRefusal { throw refusal }
      if state.pending != nil { state.pending = nil }
      state.lockDue = .now
      return Obeyed(epoch: Epoch(7), result: state.orderResult, lock: nil)
    }
  }

  var lockDue: BootTime? { state.withLock { $0.lockDue } }

  func lockTick() -> Bool {
    note("tend the lock")
    return state.withLock { state in
      state.lockDue = state.nextLockDue
      return state.tickMovesRules
    }
  }

  func report(_ nonce: Nonce, managementSource: String) throws(Refusal) -> Report {
    note("report for \(managementSource)")
    state.withLock { $0.duringReport }?()
    let isHeld = holdsReport.withLock { held in
      defer { held = false }
      return held
    }
    if isHeld {
      reportBegan.signal()
      reportMayEnd.wait()
    }
    let pending = state.withLock { $0.pending }.map {
      PendingChange(
        transaction: $0.change.transaction, manifest: $0.change.manifest, serial: Serial(1), millisecondsLeft: 1,
        isManual: false)
    }
    let digest = Digest(of: [])
    let chains = (0..<state.withLock { $0.chains }).map {
      ChainDigest(table: "filter", chain: "chain-\($0)", digest: digest)
    }
    return Report(
      nonce: nonce, host: host, fleet: fleet, time: UTCTime(secondsSinceEpoch: 0), bootID: "b", agentVersion: "t",
      architecture: "a", kernel: "k", backend: .nft, iptablesVersion: "1", committed: nil, lastFailure: nil,
      pending: pending,
      families: PerFamily { _ in FamilyReport(expected: nil, observed: digest, save: digest, chains: chains) },
      otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: managementSource)
  }

  func text(_ request: TextRequest) throws(Refusal) -> [UInt8] {
    note("text")
    return state.withLock { $0.text }
  }

  var isBehind: Bool { state.withLock { $0.isBehind } }

  var changes: ChangeLog { state.withLock { $0.changes } }

  func look(for actors: [HostChange.Actor]) throws(Refusal) -> Bool {
    let happens = state.withLock { state in
      defer { state.duringLook = nil }
      return state.duringLook
    }
    happens?()
    let refusal = state.withLock { state in
      state.looks.append((actors, .now))
      if state.lookRefusal == nil {
        state.unseen.forEach { state.changes.append($0) }
        state.unseen = []
      }
      return state.lookRefusal
    }
    if let refusal { throw refusal }
    return state.withLock { $0.isAnnounced }
  }

  func keepChanges() throws(Refusal) {
    let isFull = state.withLock { state in
      state.keeps += 1
      if !state.isDiskFull { state.changes.wasKept() }
      return state.isDiskFull
    }
    if isFull { throw Refusal(code: .diskFull, detail: "no room") }
  }

  func observe() throws(Refusal) -> Observations {
    note("observe")
    return Observations(observing: [.ipv4], entries: [])
  }
}

extension BootTime {
  static var now: BootTime {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }
}
