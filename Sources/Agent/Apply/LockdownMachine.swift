package import Core
internal import Release
package import Wire

/// A lock from its order to the answer, and its lift (docs/orders.md). Pure: like `ApplyMachine` it takes events, and each
/// returns the one action the driver performs next and reports back about.
///
/// From the durable LOCKDOWN record on there is no way back to an open host but a durable LIFTED one. What the ordered
/// profile cannot be loaded for, the built-in one is loaded for; when not even that loads, it answers so and leaves the
/// lock in the journal for another try. A lift that fails loads the layer again.
package struct LockdownMachine: Sendable {
  /// Of each side, and of a removal.
  package static let maximumTries = 3

  private enum State: Hashable, Sendable {
    /// The journal knows no lock.
    case unlocked
    /// The journal knows this one. The kernel may hold it, or anything.
    case locked(Lock)
    /// The HEARD record is being written.
    case hearing(LockAnswer.Result)
    /// The LOCKDOWN record is being written; nothing is durable of it.
    case recording(Work)
    /// LOCKDOWN is durable; a family is being loaded.
    case loading(Work, Family)
    /// IPv6 would not load; IPv4 is being loaded all the same, so that what can be shut is.
    case loadingAlone(Work, Refusal)
    /// Both are loaded; old flows are being cut.
    case cutting(Work)
    /// IPv4 alone is loaded; old flows are being cut.
    case cuttingAlone(Work, Refusal)
    /// Both are loaded and are being read back.
    case rereading(Work)
    /// What should be there is being read, and nothing was loaded.
    case checking(Work)
    /// Read back as it should be; the LOCKED record is being written.
    case closing(Work)
    /// The change that waited to be confirmed is being taken back, beneath the layer.
    case takingBack(LockAnswer)
    /// The LIFTING record is being written. Still locked in every respect.
    case noting(Lift)
    /// LIFTING is durable; the layer of a family is being taken out.
    case removing(Lift, Family)
    /// It is out of both, which is being read.
    case missing(Lift)
    /// The LIFTED record is being written.
    case ending(Lift)
    /// Answered.
    case ended
  }

  /// A lock that is being brought into the kernel.
  private struct Work: Hashable, Sendable {
    var lock: Lock
    var end: End
    var manner: Manner
    var side = Side.ordered
    var attempt = 1
    /// Old flows may have begun that it would not have let begin.
    var cuts = true
    /// A change waits that cannot be confirmed any more.
    var voids = false
    var flowsCut = 0
    /// Why the last cut did not end all.
    var uncut: String?
    var warnings: [String] = []
    /// A side would not load in IPv6, and did in IPv4.
    var shutsAlone = false
  }

  private struct Lift: Hashable, Sendable {
    var lock: Lock
    var cause: LiftCause
    var attempt = 1
  }

  /// What is said once the lock is in the kernel.
  private enum End: Hashable, Sendable {
    case answer(LockAnswer.Result)
    case refuse(Refusal)
  }

  private var state: State

  /// - Parameter lock: as the journal knows it.
  package init(_ lock: Lock?) { state = lock.map { .locked($0) } ?? .unlocked }

  // MARK: - Events

  package mutating func begin(_ request: Request) -> Action {
    switch (state, request) {
    case (.unlocked, .lock(let lock, let voids)): return record(lock, voids, .first)
    case (.locked(let before), .lock(let lock, let voids)):
      // The chains are filled anew in one transaction of each family: the host is never open in between.
      return record(lock, voids, before.held == nil ? .mend : .refill)
    case (.locked(let lock), .repeated): return bring(lock, .answer(.repeated))
    case (.locked(let lock), .check): return bring(lock, .answer(.kept))
    case (.locked(let lock), .restart):
      var again = lock
      if lock.held?.isBuiltIn == true { again.held = nil }
      return bring(again, .answer(.kept))
    case (.unlocked, .check), (.unlocked, .restart): return answer(LockAnswer(.kept))
    case (.unlocked, .repeated): return refuse("nothing is locked")
    case (.locked(let lock), .lift(let cause, let floor)):
      state = .noting(Lift(lock: lock, cause: cause))
      return .journal(.lifting(floor, cause))
    case (.unlocked, .lift(_, let floor)): return hear(floor, .nothingToLift)
    case (.locked, .hear(let floor, let result)), (.unlocked, .hear(let floor, let result)):
      return hear(floor, result)
    case (.hearing, _), (.recording, _), (.loading, _), (.loadingAlone, _), (.cutting, _), (.cuttingAlone, _),
      (.rereading, _), (.checking, _), (.closing, _), (.takingBack, _), (.noting, _), (.removing, _), (.missing, _),
      (.ending, _), (.ended, _):
      return outOfTurn("begin")
    }
  }

  /// The record of the last `.journal` action is durable.
  package mutating func journalled() -> Action {
    switch state {
    case .hearing(let result): return answer(LockAnswer(result))
    case .recording(let work): return load(work)
    case .closing(let work): return finish(work)
    case .noting(let lift): return remove(lift)
    case .ending: return answer(LockAnswer(.lifted))
    case .unlocked, .locked, .loading, .loadingAlone, .cutting, .cuttingAlone, .rereading, .checking, .takingBack,
      .removing, .missing, .ended:
      return outOfTurn("journalled")
    }
  }

  /// The last load, or removal, was done.
  package mutating func loaded() -> Action {
    switch state {
    case .loading(let work, .ipv6):
      state = .loading(work, .ipv4)
      return .load(work.side, work.manner, .ipv4, attempt: work.attempt)
    case .loading(let work, .ipv4):
      guard work.cuts else { return reread(work) }
      state = .cutting(work)
      return .cutFlows(work.side)
    case .loadingAlone(var work, let refusal):
      work.shutsAlone = true
      state = .cuttingAlone(work, refusal)
      return .cutFlows(work.side)
    case .removing(let lift, .ipv6):
      state = .removing(lift, .ipv4)
      return .remove(.ipv4, attempt: lift.attempt)
    case .removing(let lift, .ipv4):
      state = .missing(lift)
      return .readGone
    case .unlocked, .locked, .hearing, .recording, .cutting, .cuttingAlone, .rereading, .checking, .closing,
      .takingBack, .noting, .missing, .ending, .ended:
      return outOfTurn("loaded")
    }
  }

  package mutating func cut(_ count: Int) -> Action {
    switch state {
    case .cutting(var work):
      work.flowsCut += count
      work.uncut = nil
      return reread(work)
    case .cuttingAlone(var work, let refusal):
      work.flowsCut += count
      return giveUp(work, refusal)
    case .unlocked, .locked, .hearing, .recording, .loading, .loadingAlone, .rereading, .checking, .closing,
      .takingBack, .noting, .removing, .missing, .ending, .ended:
      return outOfTurn("cut")
    }
  }

  /// Both families read back as this side should.
  package mutating func matched(_ expectation: Expectation) -> Action {
    switch state {
    case .checking(var work) where work.lock.held?.uncut != nil:
      work.cuts = true
      state = .cutting(work)
      return .cutFlows(work.side)
    case .rereading(var work), .checking(var work):
      let held = HeldLayer(expectation: expectation, isBuiltIn: work.side == .builtIn, uncut: work.uncut)
      guard held != work.lock.held else { return finish(work) }
      work.lock.held = held
      state = .closing(work)
      return .journal(.locked(work.lock.epoch, held))
    case .unlocked, .locked, .hearing, .recording, .loading, .loadingAlone, .cutting, .cuttingAlone, .closing,
      .takingBack, .noting, .removing, .missing, .ending, .ended:
      return outOfTurn("matched")
    }
  }

  /// Nothing of the layer was read.
  package mutating func gone(at now: UTCTime) -> Action {
    switch state {
    case .missing(let lift):
      state = .ending(lift)
      return .journal(.lifted(lift.cause, now))
    case .unlocked, .locked, .hearing, .recording, .loading, .loadingAlone, .cutting, .cuttingAlone, .rereading,
      .checking, .closing, .takingBack, .noting, .removing, .ending, .ended:
      return outOfTurn("gone")
    }
  }

  package mutating func tookBack() -> Action {
    switch state {
    case .takingBack(let end): return answer(end)
    case .unlocked, .locked, .hearing, .recording, .loading, .loadingAlone, .cutting, .cuttingAlone, .rereading,
      .checking, .closing, .noting, .removing, .missing, .ending, .ended:
      return outOfTurn("tookBack")
    }
  }

  /// The last action did not succeed, or what was read is not as it should be.
  package mutating func failed(_ refusal: Refusal) -> Action {
    switch state {
    case .unlocked, .locked, .hearing, .recording, .noting:
      // Nothing of it is durable.
      state = .ended
      return .refuse(refusal)
    case .loading(let work, .ipv6):
      guard work.attempt == Self.maximumTries, !work.shutsAlone else { return retry(work, refusal) }
      state = .loadingAlone(work, refusal)
      return .load(work.side, .mend, .ipv4, attempt: work.attempt)
    case .loadingAlone(let work, let first): return giveUp(work, first)
    case .loading(let work, .ipv4), .rereading(let work): return retry(work, refusal)
    case .checking(var work):
      work.cuts = true
      work.manner = .mend
      work.warnings.append("it was not in the kernel as it should be, and was loaded again: \(refusal.detail)")
      return load(work)
    case .cutting(var work):
      // The rules shut whoever they shut all the same, and it is tried again with the next look.
      work.uncut = refusal.detail
      work.warnings.append("old connections were not all cut: \(refusal.detail)")
      return reread(work)
    case .cuttingAlone(var work, let first):
      work.warnings.append("old connections were not all cut: \(refusal.detail)")
      return giveUp(work, first)
    case .closing(var work):
      // The kernel is right; recovery reads it and records it.
      work.warnings.append("that it was read back could not be recorded: \(refusal.detail)")
      return finish(work)
    case .takingBack(var end):
      end.warnings.append("the change that waited is not taken back yet: \(refusal.detail)")
      return answer(end)
    case .removing(var lift, _), .missing(var lift):
      guard lift.attempt == Self.maximumTries else {
        lift.attempt += 1
        return remove(lift)
      }
      return loadBack(lift, refusal)
    case .ending(let lift): return loadBack(lift, refusal)
    case .ended: return .refuse(refusal)
    }
  }

  // MARK: - Steps

  private mutating func hear(_ floor: EpochFloor?, _ result: LockAnswer.Result) -> Action {
    guard let floor else { return answer(LockAnswer(result)) }
    state = .hearing(result)
    return .journal(.heard(floor))
  }

  private mutating func record(_ lock: Lock, _ voids: TransactionID?, _ manner: Manner) -> Action {
    var work = Work(lock: lock, end: .answer(.locked), manner: manner)
    work.lock.held = nil
    work.voids = voids != nil
    state = .recording(work)
    return .journal(.lockdown(work.lock, voids: voids))
  }

  /// A lock that the journal knows already.
  private mutating func bring(_ lock: Lock, _ end: End) -> Action {
    var work = Work(lock: lock, end: end, manner: .mend)
    guard let held = lock.held else { return load(work) }
    work.side = held.isBuiltIn ? .builtIn : .ordered
    work.cuts = false
    state = .checking(work)
    return .reread(work.side)
  }

  private mutating func load(_ work: Work) -> Action {
    state = .loading(work, .ipv6)
    return .load(work.side, work.manner, .ipv6, attempt: work.attempt)
  }

  private mutating func reread(_ work: Work) -> Action {
    state = .rereading(work)
    return .reread(work.side)
  }

  private mutating func retry(_ work: Work, _ refusal: Refusal) -> Action {
    guard work.attempt < Self.maximumTries else { return giveUp(work, refusal) }
    var next = work
    next.manner = .mend
    next.attempt += 1
    return load(next)
  }

  /// A side that would not load.
  private mutating func giveUp(_ work: Work, _ refusal: Refusal) -> Action {
    var next = work
    next.manner = .mend
    guard work.side == .builtIn else {
      next.side = .builtIn
      next.attempt = 1
      next.warnings.append(
        "profile \(work.lock.profile.name) would not load, so the built-in one was tried: \(refusal.detail)")
      return load(next)
    }
    if case .answer = work.end { next.end = .answer(.locking) }
    let what = work.shutsAlone ? "IPv4 alone is shut, nothing would load in IPv6 yet" : "nothing would load yet"
    next.warnings.append("\(what): \(refusal.detail)")
    return finish(next)
  }

  private mutating func finish(_ work: Work) -> Action {
    switch work.end {
    case .refuse(let refusal):
      state = .ended
      return .refuse(refusal)
    case .answer(let result):
      let end = LockAnswer(result, flowsCut: work.flowsCut, warnings: work.warnings)
      guard work.voids else { return answer(end) }
      state = .takingBack(end)
      return .takeBack
    }
  }

  private mutating func remove(_ lift: Lift) -> Action {
    state = .removing(lift, .ipv6)
    return .remove(.ipv6, attempt: lift.attempt)
  }

  private mutating func loadBack(_ lift: Lift, _ refusal: Refusal) -> Action {
    var work = Work(lock: lift.lock, end: .refuse(refusal), manner: .mend)
    if lift.lock.held?.isBuiltIn == true { work.side = .builtIn }
    return load(work)
  }

  private mutating func answer(_ end: LockAnswer) -> Action {
    state = .ended
    return .answer(end)
  }

  private mutating func refuse(_ words: String) -> Action {
    state = .ended
    return .refuse(Refusal(code: .internalError, detail: words))
  }

  /// Our own driver broke the order: a failure like any other, so that a host stays as locked as it was.
  private mutating func outOfTurn(_ event: String) -> Action {
    failed(Refusal(code: .internalError, detail: "\(event) arrived out of turn"))
  }
}
