package import Core
internal import Release
package import Wire

/// One apply, from a verified bundle on disk to an answer (docs/architecture.md). Pure: events come in, and each returns the
/// one action the driver performs next and reports back about. No effect happens in here.
///
/// Before APPLYING a failure is a refusal: nothing was changed. From APPLYING on it puts both families back, at most
/// `maximumRollbacks` times, and then loads the safe policy. When even that does not load, it answers and leaves the
/// transaction open for another try. Once both families read back it waits to be confirmed; the deadline, which runs from
/// ARMED on, takes the change back like a failure does. After COMMITTED nothing can fail any more, because recovery
/// finishes what is left.
package struct ApplyMachine: Sendable {
  package static let maximumRollbacks = 3
  package static let maximumSafeLoads = 3

  private enum State: Hashable, Sendable {
    /// Nothing happened yet.
    case idle
    /// The STAGED record is being written.
    case staging
    /// STAGED is durable; the rehearsal runs.
    case staged
    /// The rehearsal passed; the ARMED record, which raises the serial floor, is being written.
    case rehearsed(Terms)
    /// ARMED is durable; the promise to take the change back is being asked for.
    case arming(Terms)
    /// The promise is given; the APPLYING record is being written.
    case armed(Terms)
    /// The new IPv6 rules are being loaded.
    case applyingV6(Terms)
    /// The new IPv6 rules are loaded, IPv4 is being loaded.
    case applyingV4(Terms)
    /// Both are loaded and are being read back.
    case rereading(Terms)
    /// Read back as rehearsed; the APPLIED record is being written.
    case announcing(Change, Nonce)
    /// APPLIED is durable; nobody has confirmed yet.
    case applied(Change)
    /// Confirmed, if it has to be; the COMMITTED record is being written.
    case committing(Change)
    /// COMMITTED is durable; the pointer is being flipped. There is no way back from here.
    case committed(Change)
    /// The ROLLING_BACK record is being written; the way back goes on even when it cannot be.
    case turningBack(Why)
    /// The old rules of a family are being loaded.
    case rollingBack(Why, attempt: Int, Family)
    /// The old rules are loaded and are being read back.
    case rolledBack(Why, attempt: Int)
    /// The old rules read back; the ROLLED_BACK record is being written.
    case ending(Outcome)
    /// Going back failed; the safe policy of a family is being loaded.
    case savingHost(Why, attempt: Int, Family)
    /// The safe policy is loaded and is being read back.
    case savedHost(Why, attempt: Int)
    /// The ABANDONED record is being written.
    case abandoning(Refusal)
    /// Answered.
    case ended
  }

  /// Until when it has to be confirmed, and what the operator should know although it goes on.
  private struct Terms: Hashable, Sendable {
    var deadline: ArmedDeadline
    var warnings: [String]
  }

  /// The new rules as they were read back.
  private struct Change: Hashable, Sendable {
    var terms: Terms
    var expectation: Expectation
  }

  /// Every reason so far, first cause first.
  private struct Why: Hashable, Sendable {
    var words: String
    func and(_ more: Refusal) -> Why { Why(words: "\(words); \(more.detail)") }
  }

  private let plan: OpenTransaction
  private var state = State.idle

  /// - Parameter plan: what is to be applied, or taken back; fixed from the start.
  package init(_ plan: OpenTransaction) { self.plan = plan }

  // MARK: - Events

  package mutating func begin() -> Action {
    switch state {
    case .idle:
      state = .staging
      return .journal(.staged(plan))
    case .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing,
      .applied, .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("begin")
    }
  }

  /// Takes up a transaction that was cut short after the kernel was touched, and takes it back.
  package mutating func resume(because words: String) -> Action {
    switch state {
    case .idle: return goBack(Why(words: words), attempt: 1)
    case .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing,
      .applied, .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("resume")
    }
  }

  /// The record of the last `.journal` action is durable.
  package mutating func journalled() -> Action {
    switch state {
    case .staging:
      state = .staged
      return .rehearse
    case .rehearsed(let terms):
      state = .arming(terms)
      return .arm(terms.deadline)
    case .armed(let terms):
      state = .applyingV6(terms)
      return .load(.new, .ipv6)
    case .announcing(let change, let nonce):
      state = .applied(change)
      return .wait(nonce, change.terms.deadline)
    case .committing(let change):
      state = .committed(change)
      return .flip(plan.bundle)
    case .turningBack(let why):
      return goBack(why, attempt: 1)
    case .ending(let outcome):
      state = .ended
      return .answer(outcome)
    case .abandoning(let refusal):
      state = .ended
      return .refuse(refusal)
    case .idle, .staged, .arming, .applyingV6, .applyingV4, .rereading, .applied, .committed, .rollingBack,
      .rolledBack, .savingHost, .savedHost, .ended:
      return outOfTurn("journalled")
    }
  }

  /// The scratch stack printed what the bundle means, or the host has none and the warnings say so.
  package mutating func rehearsed(deadline: ArmedDeadline, warnings: [String] = []) -> Action {
    switch state {
    case .staged:
      state = .rehearsed(Terms(deadline: deadline, warnings: warnings))
      return .journal(.armed(plan.release, deadline))
    case .idle, .staging, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing, .applied,
      .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("rehearsed")
    }
  }

  /// Someone who outlives us promised to take the change back.
  package mutating func promised() -> Action {
    switch state {
    case .arming(let terms):
      state = .armed(terms)
      return .journal(.applying(plan.id))
    case .idle, .staging, .staged, .rehearsed, .armed, .applyingV6, .applyingV4, .rereading, .announcing, .applied,
      .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("promised")
    }
  }

  package mutating func loaded(at now: BootTime) -> Action {
    switch state {
    case .applyingV6(let terms):
      if now >= terms.deadline.time { return failed(Self.overdue) }
      state = .applyingV4(terms)
      return .load(.new, .ipv4)
    case .applyingV4(let terms):
      if now >= terms.deadline.time { return failed(Self.overdue) }
      state = .rereading(terms)
      return .reread(.new)
    case .rollingBack(let why, let attempt, .ipv6):
      state = .rollingBack(why, attempt: attempt, .ipv4)
      return .load(.old, .ipv4)
    case .rollingBack(let why, let attempt, .ipv4):
      state = .rolledBack(why, attempt: attempt)
      return .reread(.old)
    case .savingHost(let why, let attempt, .ipv6):
      state = .savingHost(why, attempt: attempt, .ipv4)
      return .load(Self.safeSide(attempt), .ipv4)
    case .savingHost(let why, let attempt, .ipv4):
      state = .savedHost(why, attempt: attempt)
      return .reread(Self.safeSide(attempt))
    case .idle, .staging, .staged, .rehearsed, .arming, .armed, .rereading, .announcing, .applied, .committing,
      .committed, .turningBack, .rolledBack, .ending, .savedHost, .abandoning, .ended:
      return outOfTurn("loaded")
    }
  }

  /// Both families read back as this side should.
  ///
  /// - Parameters:
  ///   - nonce: what a confirmation will have to name.
  ///   - expectation: what the host prints of the new side from now on.
  package mutating func matched(at now: Moment, nonce: Nonce, expectation: Expectation?) -> Action {
    switch state {
    case .rereading(let terms):
      if now.sinceBoot >= terms.deadline.time { return failed(Self.overdue) }
      guard let expectation else {
        return failed(Refusal(code: .internalError, detail: "nothing says what the host is to print"))
      }
      let change = Change(terms: terms, expectation: expectation)
      guard plan.needsConfirmation else { return commit(change, at: now.time) }
      state = .announcing(change, nonce)
      return .journal(.applied(plan.id, nonce, terms.deadline))
    case .rolledBack(let why, _):
      return end(.reverted, JournalRecord.rolledBack, why)
    case .savedHost(let why, _):
      return end(.failed, { .safePolicy(why: why.words, $0) }, why)
    case .idle, .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .announcing, .applied,
      .committing, .committed, .turningBack, .rollingBack, .ending, .savingHost, .abandoning, .ended:
      return outOfTurn("matched")
    }
  }

  /// Whoever manages the host can still reach it. Too late counts as never.
  package mutating func confirmed(at now: Moment) -> Action {
    switch state {
    case .applied(let change):
      if now.sinceBoot >= change.terms.deadline.time { return failed(Self.overdue) }
      return commit(change, at: now.time)
    case .idle, .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing,
      .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("confirmed")
    }
  }

  /// The deadline passed, or someone does not want the change any more.
  package mutating func takenBack(because words: String) -> Action {
    switch state {
    case .applied: return turnBack(Why(words: words))
    case .idle, .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing,
      .committing, .committed, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("takenBack")
    }
  }

  package mutating func flipped() -> Action {
    switch state {
    case .committed(let change):
      state = .ended
      return .answer(committed(change))
    case .idle, .staging, .staged, .rehearsed, .arming, .armed, .applyingV6, .applyingV4, .rereading, .announcing,
      .applied, .committing, .turningBack, .rollingBack, .rolledBack, .ending, .savingHost, .savedHost,
      .abandoning, .ended:
      return outOfTurn("flipped")
    }
  }

  /// The last action did not succeed.
  package mutating func failed(_ refusal: Refusal) -> Action {
    switch state {
    case .idle, .staging:
      // There is no durable record to end.
      state = .ended
      return .refuse(refusal)
    case .staged, .rehearsed, .arming, .armed:
      state = .abandoning(refusal)
      return .journal(.abandoned(plan.id))
    case .abandoning(let first):
      // Recovery sees that the kernel was never touched.
      state = .ended
      return .refuse(first)
    case .applyingV6, .applyingV4, .rereading, .announcing, .applied, .committing:
      return turnBack(Why(words: refusal.detail))
    case .turningBack(let why):
      return goBack(why, attempt: 1)
    case .rollingBack(let why, let attempt, _), .rolledBack(let why, let attempt):
      let more = why.and(refusal)
      return attempt < Self.maximumRollbacks ? goBack(more, attempt: attempt + 1) : saveHost(more, attempt: 1)
    case .savingHost(let why, let attempt, _), .savedHost(let why, let attempt):
      let more = why.and(refusal)
      if attempt < Self.maximumSafeLoads { return saveHost(more, attempt: attempt + 1) }
      // Nothing of what was tried is loaded, so this is no end: the transaction stays open, and the guard, or whoever
      // opens the journal next, tries again.
      state = .ended
      return .answer(outcome(.failed, detail: more.words))
    case .committed(let change):
      // The record decides; recovery flips the pointer.
      state = .ended
      return .answer(committed(change))
    case .ending(let outcome):
      // The kernel is as the outcome says; recovery will find the transaction open, go back again and record it.
      state = .ended
      return .answer(outcome)
    case .ended:
      return outOfTurn("failed")
    }
  }

  // MARK: - Steps

  private static let overdue = Refusal(
    code: .internalError, detail: "the deadline for its confirmation passed before it was done")

  /// The last try does without other people's rules.
  private static func safeSide(_ attempt: Int) -> Side { attempt < maximumSafeLoads ? .safe : .wholeSafe }

  private mutating func commit(_ change: Change, at now: UTCTime) -> Action {
    state = .committing(change)
    let bundle = CommittedBundle(
      name: plan.bundle, accepted: plan.release, content: plan.content, at: now, expectation: change.expectation)
    return .journal(.committed(bundle, plan.release, committed(change)))
  }

  private func committed(_ change: Change) -> Outcome {
    outcome(.committed, detail: change.terms.warnings.joined(separator: "; "))
  }

  private mutating func turnBack(_ why: Why) -> Action {
    state = .turningBack(why)
    return .journal(.rollingBack(plan.id, why: why.words))
  }

  private mutating func goBack(_ why: Why, attempt: Int) -> Action {
    state = .rollingBack(why, attempt: attempt, .ipv6)
    return .load(.old, .ipv6)
  }

  private mutating func saveHost(_ why: Why, attempt: Int) -> Action {
    state = .savingHost(why, attempt: attempt, .ipv6)
    return .load(Self.safeSide(attempt), .ipv6)
  }

  private mutating func end(
    _ result: Outcome.Result, _ record: (Outcome) -> JournalRecord, _ why: Why
  ) -> Action {
    let outcome = outcome(result, detail: why.words)
    state = .ending(outcome)
    return .journal(record(outcome))
  }

  private func outcome(_ result: Outcome.Result, detail: String) -> Outcome {
    Outcome(
      transaction: plan.id, result: result, serial: plan.release.serial, manifest: plan.release.manifest,
      detail: detail)
  }

  /// Our own driver broke the order. Before APPLYING that is a refusal; later it is a failure like any other, so that a
  /// bug in the driver still takes the host back to rules it knew.
  private mutating func outOfTurn(_ event: String) -> Action {
    let refusal = Refusal(code: .internalError, detail: "\(event) arrived out of turn")
    if case .ended = state { return .refuse(refusal) }
    return failed(refusal)
  }
}
