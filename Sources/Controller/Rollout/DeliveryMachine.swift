internal import Core
package import Wire

/// Brings one bundle to one host, confirms it over a new connection, and knows what it may claim. It owns no socket and
/// no clock: each event brings the time, and returns what to do. `current` is reached only by an outcome of this
/// transaction and this manifest, or a report, asked for by us after the loss, that shows this manifest committed.
///
/// The host is asked first what it has committed: a plan that was made against something else does not reach it.
///
/// A lost answer is looked for over a new connection: first a report; when it shows neither the bundle committed nor
/// our change waiting, the same transaction is sent again, which is safe because an agent answers a transaction it
/// knows with the recorded outcome, or with the change that waits.
///
/// The caller hands in events of the newest connection only, and may repeat, lose or delay any of them.
package struct DeliveryMachine: Sendable {
  /// Since any moment the caller likes; it only has to go forward.
  package typealias Time = Duration

  private typealias Waiting = DeliveryState.Waiting
  private typealias Lost = DeliveryState.Lost

  package let target: Target
  /// When it is over, whatever the host does: every delivery ends by then.
  package let latestEnd: Time
  private let limits: Limits
  private let makeNonce: @Sendable () -> Nonce
  private var state: DeliveryState = .idle
  /// Moves back when the host was told to apply, so that it is still asked after it went back by itself.
  private var deadline: Time
  /// The change may wait for us until then, as far as we know.
  private var windowEnd: Time = .zero
  private var alarm: Time = .zero
  private var failedConnections = 0
  /// How often, and with which words, the host was busy with something else before it took anything from us.
  private var busy: (times: Int, detail: String)?
  private var warnings: [String] = []

  /// - Parameter deadline: when to give up unless the host was told to apply before; then it has time to go back, and
  ///   some more.
  package init(
    target: Target, deadline: Time, limits: Limits = Limits(),
    makeNonce: @escaping @Sendable () -> Nonce = { Nonce.random() }
  ) {
    self.target = target
    self.deadline = deadline
    self.limits = limits
    self.makeNonce = makeNonce
    latestEnd = deadline + .seconds(Int(target.terms.seconds)) + DeliveryTiming.grace
  }

  /// Nil while it is under way.
  package var result: DeliveryResult? {
    if case .answered(let result) = state { result } else { nil }
  }

  /// Was the host ever told to apply? Then cancelling must leave `unknown`, not `pending`.
  package var mayHaveChangedHost: Bool { state.mayHaveChangedHost }

  package mutating func start() -> [Action] {
    guard case .idle = state else { return [] }
    state = .connecting(.deliver, greeted: false)
    return [.connect, wake(at: deadline)]
  }

  package mutating func handle(_ event: Event, at now: Time) -> [Action] {
    if case .answered = state { return [] }
    if case .idle = state { return [] }
    if now >= deadline {
      // An answer that is here is taken, however late; nothing new is begun.
      switch event {
      case .outcome(let outcome): _ = ended(outcome)
      case .report(let report): _ = reported(report, at: now)
      case .connected, .hello, .staged, .applied, .refused, .transportFailed, .tick: break
      }
      if let result { return [.disconnect, .finish(result)] }
      return giveUp("the deadline passed")
    }
    switch event {
    case .connected: return connected()
    case .hello(let hello): return greeted(hello, at: now)
    case .staged(let transaction, let manifest): return staged(transaction, manifest, at: now)
    case .applied(let change): return applied(change, at: now)
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
    case .idle, .pausing, .connecting, .checking, .staging, .applying, .unconfirmed, .confirming, .lost, .asking:
      giveUp("the run was interrupted")
    }
  }

  // MARK: - Ends

  private mutating func finish(_ result: DeliveryResult) -> [Action] {
    state = .answered(result)
    return [.disconnect, .finish(result)]
  }

  private mutating func giveUp(_ why: String) -> [Action] {
    guard mayHaveChangedHost else {
      if let busy { return finish(.failed("\(why): \(busy.detail)", .busy)) }
      return finish(.unreachable(state.lastWords.map { "\(why): \($0)" } ?? why))
    }
    return finish(.unknown(state.lastWords.map { "\(why): \($0)" } ?? "\(why) while the host was applying"))
  }

  /// It ran the bundle, or says that it does, only if it says so of this very one.
  private mutating func ended(_ outcome: Outcome) -> [Action] {
    guard outcome.transaction == target.transaction else { return [] }
    let lost: Lost?
    switch state {
    case .idle, .answered, .pausing, .connecting, .checking, .unconfirmed, .lost: return []
    case .confirming: lost = nil
    case .staging(let before), .applying(let before): lost = before
    case .asking(let before, _, _): lost = before
    }
    let detail = SafeText.escape(outcome.detail)
    switch outcome.result {
    case .committed, .unchanged:
      guard outcome.manifest == target.manifest else {
        return finish(.unknown("the host says it committed another manifest, \(outcome.manifest.short)"))
      }
      if !detail.isEmpty, !warnings.contains(detail) { warnings.append(detail) }
      return finish(.current(touched: outcome.result == .committed, warnings: warnings))
    case .reverted:
      guard let lost, let waiting = lost.waiting, !lost.wasConfirmed else { return finish(.reverted(detail)) }
      let cut = "no new connection could be made within \(waiting.seconds) s, so the host went back (\(waiting.why))"
      return finish(.reverted("\(cut); it says: \(detail)"))
    case .failed: return finish(.failed(detail, nil))
    }
  }

  // MARK: - Answers

  private mutating func connected() -> [Action] {
    guard case .connecting(let errand, greeted: false) = state else { return [] }
    state = .connecting(errand, greeted: true)
    return [.greet]
  }

  /// A connection to another host than the one we mean gets nothing from us: addresses move between machines.
  private mutating func greeted(_ hello: AgentHello, at now: Time) -> [Action] {
    guard case .connecting(let errand, greeted: true) = state else { return [] }
    var problem: String?
    if hello.version != ProtocolVersion.current {
      let mend =
        hello.version < ProtocolVersion.current
        ? "run 'portcullis enroll \(target.host)'" : "this controller is older than the host's agent"
      problem = "its agent speaks protocol \(hello.version), we speak \(ProtocolVersion.current): \(mend)"
    } else if hello.fleet != target.fleet {
      problem = "it belongs to fleet \(hello.fleet)"
    } else if hello.host != target.host {
      problem = "the host that answered is \(hello.host)"
    }
    switch errand {
    case .deliver:
      if let problem { return finish(.failed(problem, nil)) }
      let nonce = makeNonce()
      state = .checking(nonce)
      return [.askReport(nonce)]
    case .confirm(let waiting):
      // Not the host whose rules wait: as good as no connection.
      if let problem { return probeFailed(waiting, because: problem, at: now) }
      return confirm(waiting, at: now)
    case .ask(let lost):
      if let problem { return look(for: lost, because: problem, at: now) }
      return ask(lost, final: nil, at: now)
    }
  }

  private mutating func staged(_ transaction: TransactionID, _ manifest: Digest, at now: Time) -> [Action] {
    guard case .staging(let lost) = state, transaction == target.transaction else { return [] }
    guard manifest == target.manifest else {
      // Other bytes arrived than we sent. Nothing was applied by this attempt, and nothing will be.
      let words = "staged another manifest than was sent"
      return finish(lost.map { .unknown("\($0.why); then the host \(words)") } ?? .failed("the host \(words)", nil))
    }
    state = .applying(lost)
    let window = Duration.seconds(Int(target.terms.seconds))
    windowEnd = now + window
    deadline = min(max(deadline, windowEnd + DeliveryTiming.grace), latestEnd)
    // New rules may cut the connection that the answer comes over, so it is not waited for to the end of the window.
    return [.apply, wake(at: now + max(DeliveryTiming.patience(lost?.tries ?? 0), window / 3))]
  }

  private mutating func applied(_ change: AppliedChange, at now: Time) -> [Action] {
    guard case .applying(let lost) = state, change.transaction == target.transaction else { return [] }
    guard change.manifest == target.manifest else {
      return finish(.unknown("the host says it applied another manifest, \(change.manifest.short)"))
    }
    warnings = change.warnings.map { SafeText.escape($0) }
    if target.terms.isManual { return finish(.awaiting(change)) }
    // It cannot be more than was agreed, whatever the host says.
    let asked = Duration.seconds(Int(target.terms.seconds))
    let window = min(.milliseconds(Int(change.millisecondsLeft)), asked)
    windowEnd = now + window
    return probe(Waiting(change: change, window: window, end: windowEnd, tries: lost?.tries ?? 0), at: now)
  }

  private mutating func confirm(_ waiting: Waiting, at now: Time) -> [Action] {
    state = .confirming(waiting)
    let confirmation = ChangeConfirmation(
      transaction: target.transaction, manifest: target.manifest, nonce: waiting.change.nonce)
    return [.confirm(confirmation), wake(at: now + DeliveryTiming.longestProbe)]
  }

  private mutating func ask(_ lost: Lost, final: Refusal?, at now: Time) -> [Action] {
    let nonce = makeNonce()
    state = .asking(lost, nonce, final: final)
    return [.askReport(nonce), wake(at: now + patience(lost.tries, at: now))]
  }

  private mutating func reported(_ report: Report, at now: Time) -> [Action] {
    guard report.host == target.host, report.fleet == target.fleet else { return [] }
    if case .checking(report.nonce) = state { return checked(report) }
    guard case .asking(let lost, let nonce, let final) = state, report.nonce == nonce else { return [] }
    if report.committed?.manifest == target.manifest {
      return finish(.current(touched: true, warnings: warnings))
    }
    if let pending = report.pending, pending.transaction == target.transaction, let waiting = lost.waiting {
      guard now < waiting.lastTry else { return look(for: lost, because: lost.why, at: now) }
      // This connection is not the one that carried the apply: it was made to ask.
      var again = waiting
      again.tries = lost.tries
      return confirm(again, at: now)
    }
    if let final {
      // What was sent before the loss may still be on its way to the agent, so this is no proof that it failed.
      return finish(.unknown("\(lost.why); sent again, and refused: \(SafeText.escape(final.detail))"))
    }
    state = .staging(lost)
    return [.stage, wake(at: now + patience(lost.tries, at: now))]
  }

  /// Before anything is sent. A retry finds what it brought itself, which is what it was to bring.
  private mutating func checked(_ report: Report) -> [Action] {
    if let why = target.premise.objection(to: report.committed) { return finish(.stale(why)) }
    state = .staging(nil)
    return [.stage]
  }

  private mutating func refused(_ refusal: Refusal, at now: Time) -> [Action] {
    let detail = SafeText.escape(refusal.detail)
    switch state {
    case .idle, .answered, .pausing, .lost, .unconfirmed: return []
    case .connecting(.deliver, greeted: _): return finish(.failed(detail, refusal.code))
    case .connecting(.confirm(let waiting), greeted: _): return probeFailed(waiting, because: detail, at: now)
    case .connecting(.ask(let lost), greeted: _): return look(for: lost, because: detail, at: now)
    case .confirming(let waiting):
      // It may wait under another nonce, or no longer: a report tells, and the change is asked for anew.
      return look(for: Lost(why: detail, tries: waiting.tries, wasConfirmed: true), because: detail, at: now)
    case .checking, .staging(nil), .applying(nil):
      guard refusal.code == .busy else { return finish(.failed(detail, refusal.code)) }
      let times = busy?.times ?? 0
      busy = (times + 1, detail)
      state = .pausing(detail)
      return [.disconnect, wake(at: now + backOff(times))]
    case .staging(let lost?), .applying(let lost?):
      // Still applying what we sent before: ask later.
      guard refusal.code != .busy else { return look(for: lost, because: detail, at: now) }
      // It will not take the bundle (again). Whether it has it is what a report tells.
      return ask(lost, final: refusal, at: now)
    case .asking(let lost, _, _):
      return look(for: lost, because: detail, at: now)
    }
  }

  // MARK: - Losses and time

  private mutating func failed(_ why: String, at now: Time) -> [Action] {
    switch state {
    case .idle, .answered, .pausing, .lost, .unconfirmed: return []
    case .connecting(.deliver, greeted: _), .checking, .staging(nil):
      // Nothing was asked of the host yet.
      failedConnections += 1
      guard failedConnections < limits.connectionAttempts else { return finish(.unreachable(why)) }
      state = .pausing(why)
      return [.disconnect, wake(at: now + backOff(failedConnections - 1))]
    case .connecting(.confirm(let waiting), greeted: _): return probeFailed(waiting, because: why, at: now)
    case .connecting(.ask(let lost), greeted: _): return look(for: lost, because: why, at: now)
    case .applying(nil): return look(for: Lost(why: why), because: why, at: now)
    case .confirming(let waiting):
      let lost = Lost(why: why, tries: waiting.tries, waiting: waiting, wasConfirmed: true)
      return look(for: lost, because: why, at: now)
    case .staging(let lost?), .applying(let lost?), .asking(let lost, _, _):
      return look(for: lost, because: why, at: now)
    }
  }

  /// A connection of its own, bounded so that one that hangs leaves time for another.
  private mutating func probe(_ waiting: Waiting, at now: Time) -> [Action] {
    state = .connecting(.confirm(waiting), greeted: false)
    return [.connect, wake(at: now + DeliveryTiming.probe(within: max(.zero, waiting.lastTry - now)))]
  }

  private mutating func probeFailed(_ waiting: Waiting, because why: String, at now: Time) -> [Action] {
    var waiting = waiting
    let next = now + pause(waiting.tries, at: now)
    waiting.tries += 1
    waiting.why = why
    guard next < waiting.lastTry else {
      // The host goes back by itself; then it can be asked.
      let words = "no new connection could be made within \(waiting.seconds) s: \(why)"
      state = .lost(Lost(why: words, waiting: waiting))
      return [.disconnect, wake(at: max(now, waiting.end) + DeliveryTiming.afterwards)]
    }
    state = .unconfirmed(waiting)
    return [.disconnect, wake(at: next)]
  }

  private mutating func look(for lost: Lost, because why: String, at now: Time) -> [Action] {
    var lost = lost
    lost.why = why
    let next = now + pause(lost.tries, at: now)
    lost.tries += 1
    state = .lost(lost)
    return [.disconnect, wake(at: next)]
  }

  /// Short while a change may wait for us, longer when nothing hurries.
  private func pause(_ tries: Int, at now: Time) -> Duration {
    if now < windowEnd { return DeliveryTiming.pauses[min(tries, DeliveryTiming.pauses.count - 1)] }
    return backOff(tries)
  }

  /// While a change may wait for us, a connection that hangs must leave time for another.
  private func patience(_ tries: Int, at now: Time) -> Duration {
    guard now < windowEnd else { return DeliveryTiming.patience(tries) }
    return max(.seconds(5), DeliveryTiming.probe(within: windowEnd - now))
  }

  private func backOff(_ tries: Int) -> Duration {
    var pause = limits.firstBackOff
    for _ in 0..<min(tries, 16) where pause < limits.longestBackOff { pause = pause * 2 }
    return min(pause, limits.longestBackOff)
  }

  private mutating func wake(at moment: Time) -> Action {
    alarm = min(moment, deadline)
    return .wakeUp(at: alarm)
  }

  private mutating func ticked(at now: Time) -> [Action] {
    guard now >= alarm else { return [.wakeUp(at: alarm)] }
    switch state {
    case .pausing:
      state = .connecting(.deliver, greeted: false)
      return [.connect, wake(at: deadline)]
    case .unconfirmed(let waiting): return probe(waiting, at: now)
    case .lost(let lost):
      state = .connecting(.ask(lost), greeted: false)
      return [.connect, wake(at: now + patience(lost.tries, at: now))]
    case .connecting(.deliver, greeted: _), .checking, .staging(nil), .idle, .answered: return [wake(at: deadline)]
    case .connecting, .staging, .applying, .confirming, .asking: return failed("it did not answer in time", at: now)
    }
  }
}
