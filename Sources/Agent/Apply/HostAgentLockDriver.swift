internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Performs the actions of the machine of locks, one after the other, and tells it how each went.

extension HostAgent {
  func perform(_ request: LockdownMachine.Request, _ run: inout LockRun) throws(Refusal) -> LockAnswer {
    var machine = LockdownMachine(lockAsKnown)
    var action = machine.begin(request)
    while true {
      let start = bootClock.now()
      var time: WritableKeyPath<Obeyed.Times, UInt32>?
      var next: LockdownMachine.Action
      switch action {
      case .answer(let answer): return answer
      case .refuse(let refusal): throw refusal
      case .journal(let record):
        time = \.journal
        next = attempt(&machine, "write the journal", { try append(record) }, { $0.journalled() })
        noteLock(record)
      case .load(let side, let manner, let family, let attempt):
        time = \.load
        run.hasChanged = true
        if family == .ipv6 { pause(before: attempt - 1) }
        next = self.attempt(
          &machine, "load the \(family) rules of the lockdown",
          {
            try loadLayer(side, manner, family, loaded: run.loaded)
            run.loaded[family] = side
          }, { $0.loaded() })
      case .cutFlows(let side):
        time = \.cut
        do {
          let count = try firewall.cutFlows(sparing: try requireLayers(side).patterns, within: Self.cutLimit)
          next = machine.cut(count)
        } catch {
          next = machine.failed(Refusal("cut old connections", error))
          // What was cut stays so: of a table that is too long for one try, the next ones cut the rest.
          if !endsOldFlows(side) { lockMemory.beginToMend(at: bootClock.now()) }
        }
      case .reread(let side):
        time = \.reread
        do {
          let isFresh = run.loaded == PerFamily(ipv4: side, ipv6: side)
          next = machine.matched(try rereadLayer(side, isFresh: isFresh))
          noteRead(before: next)
        } catch {
          next = machine.failed(Refusal("read the lockdown back", error))
        }
      case .takeBack:
        next = attempt(
          &machine, "take the change that waited back",
          { try takeBackWaiting(because: "a lockdown order arrived") }, { $0.tookBack() })
      case .remove(let family, let attempt):
        run.hasChanged = true
        if family == .ipv6 { pause(before: attempt - 1) }
        next = self.attempt(
          &machine, "take the \(family) rules of the lockdown out", { try removeLayer(family) }, { $0.loaded() })
      case .readGone:
        do {
          for family in Family.allCases { try requireGone(family) }
          next = machine.gone(at: clock.now())
        } catch {
          next = machine.failed(Refusal("see that the lockdown is gone", error))
        }
      }
      if let time { run.times[keyPath: time] &+= Self.microseconds(bootClock.now() - start) }
      action = next
    }
  }

  /// That old connections may live on is so also while it is not in the journal, to which any words for it are new.
  private var lockAsKnown: Lock? {
    guard var known = lock else { return nil }
    if lockMemory.unrecorded?.uncut != nil, known.held?.uncut == nil { known.held?.uncut = "" }
    return known
  }

  private func attempt(
    _ machine: inout LockdownMachine, _ operation: String, _ effect: () throws -> Void,
    _ done: (inout LockdownMachine) -> LockdownMachine.Action
  ) -> LockdownMachine.Action {
    do { try effect() } catch { return machine.failed(Refusal(operation, error)) }
    return done(&machine)
  }

  private func requireLayers(_ side: LockdownMachine.Side) throws -> LockLayers {
    guard let lock else { throw Reason("the journal knows no lockdown") }
    return try layers(of: side, lock)
  }

  private func endsOldFlows(_ side: LockdownMachine.Side) -> Bool {
    (try? requireLayers(side))?.endsOldFlows ?? false
  }

  private func loadLayer(
    _ side: LockdownMachine.Side, _ manner: LockdownMachine.Manner, _ family: Family,
    loaded: PerFamily<LockdownMachine.Side?>
  ) throws {
    beginToChange()
    let layer = try requireLayers(side).layers[family]
    if side == .builtIn { try requireReplaceable(family, loaded) }
    switch manner {
    case .first: try loadOfLayer(layer.first, family)
    case .refill: try loadOfLayer(layer.refill, family)
    case .mend: try mend(layer)
    }
    if side == .builtIn { lockMemory.builtIn[family] = layer }
  }

  private func removeLayer(_ family: Family) throws {
    beginToChange()
    try takeOut(family)
  }

  /// What was printed of it, if that is what this side should be.
  ///
  /// - Parameter isFresh: both families were just loaded.
  private func rereadLayer(_ side: LockdownMachine.Side, isFresh: Bool) throws -> Expectation {
    let wanted = try requireLayers(side)
    let programs = try firewall.programs().description
    let isBuiltIn = side == .builtIn
    var known = [lockMemory.unrecorded, lock?.held].compactMap(\.self).filter { $0.isBuiltIn == isBuiltIn }
      .map(\.expectation)
    // What was held of the built-in profile may have been another text than the one just loaded.
    if isBuiltIn, isFresh { known = [] }
    if let expected = wanted.expected { known.append(expected) }
    // Other programs may print the same in other words, and nobody knows which: it is loaded again.
    let expected = known.first { $0.programs == programs }
    guard expected != nil || isFresh else { throw Reason("it was loaded by other programs than \(programs)") }
    let digests = try PerFamily { family in
      let layer = LockLayer.split(try layeredRuleset(family)).layer
      if let words = wanted.layers[family].difference(layer) ?? outdated(side, wanted, family) {
        throw Reason("\(family): \(words)")
      }
      guard let expected = expected?.digests[family], expected != layer.digest else { return layer.digest }
      throw Reason("\(family): its rules are as many as were loaded, but not the same")
    }
    return Expectation(digests: digests, programs: programs)
  }

  func takeBackWaiting(because why: String) throws {
    switch expire(because: why) {
    case .failure(let refusal): throw refusal
    case .success(let outcome):
      if outcome.result == .failed { throw Reason(outcome.detail) }
    case nil: break
    }
    // One that could not be taken back before does not wait any more, and is loaded all the same.
    if journal?.ledger.open != nil { try settle() }
  }

  // MARK: - What is remembered of it

  /// Until it is read back nobody knows what there is.
  private func beginToChange() {
    lockMemory.retryAt = bootClock.now() + LockMemory.pause
    lockMemory.isUnread = true
    lockMemory.unrecorded = nil
  }

  private func noteRead(before next: LockdownMachine.Action) {
    lockMemory.isUnread = false
    // What cannot be recorded is tried again.
    if case .journal(let record) = next {
      if case .locked(_, let held) = record { lockMemory.unrecorded = held }
      lockMemory.retryAt = bootClock.now() + LockMemory.pause
    } else {
      lockMemory.retryAt = nil
    }
  }

  /// A record that is not durable changed nothing.
  private func noteLock(_ record: JournalRecord) {
    if case .lockdown(let new, _) = record, lock?.order == new.order {
      lockMemory.isPlainBehind = true
      lockMemory.unrecordedLift = nil
    }
    if case .locked(_, let held) = record, lock?.held == held {
      lockMemory.retryAt = nil
      lockMemory.unrecorded = nil
      // They say what the order said until then.
      if held.isBuiltIn { lockMemory.isPlainBehind = true }
    }
    if case .lifted = record, lock == nil { lockMemory = lockMemory.afterLift }
  }
}
