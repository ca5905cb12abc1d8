package import Core
package import Wire

/// Brings one bundle to one host, and knows what it may claim. It owns no socket and no clock: each event brings the
/// time, and returns what to do. `current` is reached only by an outcome of this transaction and this manifest, or a
/// report, asked for by us after the loss, that shows this manifest committed.
///
/// A lost answer is looked for over a new connection: first a report; when it does not show the bundle, the same
/// transaction is sent again, which is safe because an agent answers a transaction it knows with the recorded outcome.
///
/// The caller hands in events of the newest connection only, and may repeat, lose or delay any of them.
package struct DeliveryMachine: Sendable {
  /// Since any moment the caller likes; it only has to go forward.
  package typealias Time = Duration

  package struct Target: Hashable, Sendable {
    package var host: HostID
    package var fleet: FleetID
    package var transaction: TransactionID
    package var manifest: Digest
    package init(host: HostID, fleet: FleetID, transaction: TransactionID, manifest: Digest) {
      self.host = host
      self.fleet = fleet
      self.transaction = transaction
      self.manifest = manifest
    }
  }

  package struct Limits: Hashable, Sendable {
    /// How often a connection may fail before anything was asked of the host.
    package var connectionAttempts: Int
    package var firstBackOff: Duration
    package var longestBackOff: Duration
    package init(
      connectionAttempts: Int = 2, firstBackOff: Duration = .milliseconds(500), longestBackOff: Duration = .seconds(15)
    ) {
      self.connectionAttempts = connectionAttempts
      self.firstBackOff = firstBackOff
      self.longestBackOff = longestBackOff
    }
  }

  package enum Event: Hashable, Sendable {
    case connected
    case hello(AgentHello)
    case staged(TransactionID, manifest: Digest)
    case outcome(Outcome)
    case report(Report)
    case refused(Refusal)
    /// The connection could not be made, broke, ended or said nonsense. In words for an operator.
    case transportFailed(String)
    /// Time passed: at least to the moment of the last `wakeUp`.
    case tick
  }

  package enum Action: Hashable, Sendable {
    /// Open a connection, and close the one before it if it is open.
    case connect
    /// Send hello.
    case greet
    /// Send the stage message and all data.
    case stage
    /// Send apply.
    case apply
    case askReport(Nonce)
    /// Hand in `tick` no earlier than this; replaces the earlier one.
    case wakeUp(at: Time)
    case disconnect
    case finish(DeliveryResult)
  }

  private enum State: Sendable {
    case idle
    /// A connection failed, or the host was busy, before anything was asked of it; waits before the next.
    case pausing(String)
    /// No connection yet that the host has greeted us on.
    case connecting(Connecting)
    /// The bundle is on its way; nothing has changed on the host by this attempt.
    case staging(Lost?)
    /// The host was told to apply.
    case applying(Lost?)
    /// The answer is lost; waits before it connects again to ask.
    case lost(Lost)
    /// Waits for the answer to this nonce. With `final`, the bundle was refused and is not sent again.
    case asking(Lost, Nonce, final: Refusal?)
    /// Over; nothing that arrives later changes it.
    case answered(DeliveryResult)
  }

  private struct Connecting: Sendable {
    var greeted = false
    var lost: Lost?
  }

  /// An apply was sent, and its answer did not come.
  private struct Lost: Sendable {
    var why: String
    /// How often we tried to find out: sets the back-off.
    var tries = 0
  }

  package let target: Target
  private let limits: Limits
  private let deadline: Time
  private let makeNonce: @Sendable () -> Nonce
  private var state: State = .idle
  private var failedConnections = 0
  /// How often, and with which words, the host was busy with something else before it took anything from us.
  private var busy: (times: Int, detail: String)?
  private var nextTry: Time?

  /// - Parameter deadline: when to give up, whatever the state.
  package init(
    target: Target, deadline: Time, limits: Limits = Limits(),
    makeNonce: @escaping @Sendable () -> Nonce = { Nonce.random() }
  ) {
    self.target = target
    self.deadline = deadline
    self.limits = limits
    self.makeNonce = makeNonce
  }

  /// Nil while it is under way.
  package var result: DeliveryResult? {
    if case .answered(let result) = state { result } else { nil }
  }

  /// Was the host ever told to apply? Then cancelling must leave `unknown`, not `pending`.
  package var mayHaveChangedHost: Bool {
    switch state {
    case .idle, .pausing: false
    case .connecting(let connecting): connecting.lost != nil
    case .staging(let lost): lost != nil
    case .applying, .lost, .asking: true
    case .answered(let result):
      switch result {
      case .current(let touched): touched
      case .reverted, .unknown: true
      case .failed(_, let refusal): refusal == nil
      case .unreachable: false
      }
    }
  }

  package mutating func start() -> [Action] {
    guard case .idle = state else { return [] }
    state = .connecting(Connecting())
    return [.connect, .wakeUp(at: deadline)]
  }

  package mutating func handle(_ event: Event, at now: Time) -> [Action] {
    if case .answered = state { return [] }
    if case .idle = state { return [] }
    if now >= deadline {
      // An answer that is here is taken, however late; nothing new is begun.
      switch event {
      case .outcome(let outcome): _ = ended(outcome)
      case .report(let report): _ = reported(report, at: now)
      case .connected, .hello, .staged, .refused, .transportFailed, .tick: break
      }
      if let result { return [.disconnect, .finish(result)] }
      return giveUp("the deadline passed")
    }
    switch event {
    case .connected: return connected()
    case .hello(let hello): return greeted(hello)
    case .staged(let transaction, let manifest): return staged(transaction, manifest)
    case .outcome(let outcome): return ended(outcome)
    case .report(let report): return reported(report, at: now)
    case .refused(let refusal): return refused(refusal, at: now)
    case .transportFailed(let why): return failed(why, at: now)
    case .tick: return ticked(at: now)
    }
  }

  /// The run ends now: what may be claimed at this point is claimed.
  package mutating func cancel() -> [Action] {
    switch state {
    case .answered: []
    case .idle, .pausing, .connecting, .staging, .applying, .lost, .asking: giveUp("the run was interrupted")
    }
  }

  private mutating func finish(_ result: DeliveryResult) -> [Action] {
    state = .answered(result)
    return [.disconnect, .finish(result)]
  }

  private mutating func giveUp(_ why: String) -> [Action] {
    guard mayHaveChangedHost else {
      if let busy { return finish(.failed("\(why): \(busy.detail)", .busy)) }
      return finish(.unreachable(lastWords.map { "\(why): \($0)" } ?? why))
    }
    return finish(.unknown(lastWords.map { "\(why): \($0)" } ?? "\(why) while the host was applying"))
  }

  private var lastWords: String? {
    switch state {
    case .idle, .answered: nil
    case .pausing(let why): why
    case .connecting(let connecting): connecting.lost?.why
    case .staging(let lost), .applying(let lost): lost?.why
    case .lost(let lost), .asking(let lost, _, _): lost.why
    }
  }

  private mutating func connected() -> [Action] {
    guard case .connecting(var connecting) = state, !connecting.greeted else { return [] }
    connecting.greeted = true
    state = .connecting(connecting)
    return [.greet]
  }

  /// A connection to another host than the one we mean gets nothing from us: addresses move between machines.
  private mutating func greeted(_ hello: AgentHello) -> [Action] {
    guard case .connecting(let connecting) = state, connecting.greeted else { return [] }
    var problem: String?
    if hello.version != ProtocolVersion.current {
      problem = "its agent speaks protocol \(hello.version), we speak \(ProtocolVersion.current)"
    } else if hello.fleet != target.fleet {
      problem = "it belongs to fleet \(hello.fleet)"
    } else if hello.host != target.host {
      problem = "the host that answered is \(hello.host)"
    }
    guard let lost = connecting.lost else {
      if let problem { return finish(.failed(problem, nil)) }
      state = .staging(nil)
      return [.stage]
    }
    if let problem { return finish(.unknown("\(lost.why); then \(problem)")) }
    let nonce = makeNonce()
    state = .asking(lost, nonce, final: nil)
    return [.askReport(nonce)]
  }

  private mutating func staged(_ transaction: TransactionID, _ manifest: Digest) -> [Action] {
    guard case .staging(let lost) = state, transaction == target.transaction else { return [] }
    guard manifest == target.manifest else {
      // Other bytes arrived than we sent. Nothing was applied by this attempt, and nothing will be.
      let words = "staged another manifest than was sent"
      return finish(lost.map { .unknown("\($0.why); then the host \(words)") } ?? .failed("the host \(words)", nil))
    }
    state = .applying(lost)
    return [.apply]
  }

  private mutating func ended(_ outcome: Outcome) -> [Action] {
    guard outcome.transaction == target.transaction else { return [] }
    switch state {
    case .idle, .answered, .pausing, .connecting, .lost: return []
    case .staging, .applying, .asking: break
    }
    let detail = SafeText.escape(outcome.detail)
    switch outcome.result {
    case .committed, .unchanged:
      guard outcome.manifest == target.manifest else {
        return finish(.unknown("the host says it committed another manifest, \(outcome.manifest.short)"))
      }
      return finish(.current(touched: outcome.result == .committed))
    case .reverted: return finish(.reverted(detail))
    case .failed: return finish(.failed(detail, nil))
    }
  }

  private mutating func reported(_ report: Report, at now: Time) -> [Action] {
    guard case .asking(let lost, let nonce, let final) = state, report.nonce == nonce, report.host == target.host,
      report.fleet == target.fleet
    else { return [] }
    if report.committed?.manifest == target.manifest { return finish(.current(touched: true)) }
    if let final {
      // What was sent before the loss may still be on its way to the agent, so this is no proof that it failed.
      return finish(.unknown("\(lost.why); sent again, and refused: \(SafeText.escape(final.detail))"))
    }
    state = .staging(lost)
    return [.stage]
  }

  private mutating func refused(_ refusal: Refusal, at now: Time) -> [Action] {
    let detail = SafeText.escape(refusal.detail)
    switch state {
    case .idle, .answered, .pausing, .lost: return []
    case .connecting(let connecting):
      guard let lost = connecting.lost else { return finish(.failed(detail, refusal.code)) }
      return look(for: lost, because: detail, at: now)
    case .staging(nil), .applying(nil):
      guard refusal.code == .busy else { return finish(.failed(detail, refusal.code)) }
      let times = busy?.times ?? 0
      busy = (times + 1, detail)
      state = .pausing(detail)
      return [.disconnect, wait(times, at: now)]
    case .staging(let lost?), .applying(let lost?):
      // Still applying what we sent before: ask later.
      guard refusal.code != .busy else { return look(for: lost, because: detail, at: now) }
      // It will not take the bundle (again). Whether it has it is what a report tells.
      let nonce = makeNonce()
      state = .asking(lost, nonce, final: refusal)
      return [.askReport(nonce)]
    case .asking(let lost, _, _):
      return look(for: lost, because: detail, at: now)
    }
  }

  private mutating func failed(_ why: String, at now: Time) -> [Action] {
    switch state {
    case .idle, .answered, .pausing, .lost: return []
    case .connecting(let connecting):
      if let lost = connecting.lost { return look(for: lost, because: why, at: now) }
      return connectAgain(because: why, at: now)
    case .staging(nil): return connectAgain(because: why, at: now)
    case .applying(nil): return look(for: Lost(why: why), because: why, at: now)
    case .staging(let lost?), .applying(let lost?), .asking(let lost, _, _):
      return look(for: lost, because: why, at: now)
    }
  }

  /// Nothing was asked of the host yet.
  private mutating func connectAgain(because why: String, at now: Time) -> [Action] {
    failedConnections += 1
    guard failedConnections < limits.connectionAttempts else { return finish(.unreachable(why)) }
    state = .pausing(why)
    return [.disconnect, wait(failedConnections - 1, at: now)]
  }

  private mutating func look(for lost: Lost, because why: String, at now: Time) -> [Action] {
    var lost = lost
    lost.why = why
    let pause = wait(lost.tries, at: now)
    lost.tries += 1
    state = .lost(lost)
    return [.disconnect, pause]
  }

  private mutating func wait(_ tries: Int, at now: Time) -> Action {
    var pause = limits.firstBackOff
    for _ in 0..<min(tries, 16) where pause < limits.longestBackOff { pause = pause * 2 }
    let moment = min(now + min(pause, limits.longestBackOff), deadline)
    nextTry = moment
    return .wakeUp(at: moment)
  }

  private mutating func ticked(at now: Time) -> [Action] {
    guard let moment = nextTry, now >= moment else { return [.wakeUp(at: nextTry ?? deadline)] }
    switch state {
    case .pausing: state = .connecting(Connecting())
    case .lost(let lost): state = .connecting(Connecting(lost: lost))
    case .idle, .connecting, .staging, .applying, .asking, .answered: return [.wakeUp(at: deadline)]
    }
    nextTry = nil
    return [.connect, .wakeUp(at: deadline)]
  }
}
