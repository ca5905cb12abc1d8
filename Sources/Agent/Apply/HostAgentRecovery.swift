package import Core
internal import Release
internal import Ruleset
internal import Wire

// After a crash, a restart or a power cut.

extension HostAgent {
  /// What `restore` did at boot.
  package enum Restored: Hashable, Sendable {
    /// Both families hold the last committed bundle, re-read.
    case committed(Serial)
    /// Nothing was ever committed; the kernel was left alone.
    case nothingCommitted
    /// The committed bundle could not be loaded; the safe policy is.
    case safePolicy(why: String)
  }

  package func recover() throws {
    try openJournal()
    bringLock()
    try settle()
    // Whoever promised another process to take its change back need not any more.
    deadMan.disarm()
    // Enrolment starts the agent, so this keeps what was found on the host. Failing now is no error: the first apply
    // tries again, and refuses when it cannot.
    _ = try? captureGeneration0()
    cleanUp()
    for file in NotedFile.allCases {
      removeUnnoted(file)
      // Where it cannot be renamed it counts all the same.
      try? placeNoted(file)
    }
    noteKeptFiles()
    settleSettings()
  }

  /// At boot, before the network comes up: loads the last committed bundle, whatever the kernel holds. Expiry and keys
  /// are not asked: running rules never lapse. On any failure the safe policy is loaded, never nothing.
  package func restore() throws -> Restored {
    let ledger: Ledger
    do {
      // What cannot be written down (a full disk, one that is still read-only) does not keep us from loading what was
      // committed: that is where an open transaction would be taken back to as well.
      try? openJournal()
      bringLock()
      try? settle()
      ledger = try self.ledger()
    } catch {
      // Without the journal nobody knows what was committed last, nor what locked.
      let locked = bringPlainLock()
      let why = ErrorChain(error).message + (locked.map { "; \($0)" } ?? "")
      try loadSafePolicy(why: why, known: nil)
      return .safePolicy(why: why)
    }
    var known: KnownRules?
    if ledger.isHeldSafe {
      known = ledger.committed.flatMap { committed in Self.twice { try committedRules(committed) } }
      let why = ledger.degraded ?? "root at the console ordered it"
      try loadSafePolicy(why: why, known: known)
      return .safePolicy(why: why)
    }
    guard let committed = ledger.committed else { return .nothingCommitted }
    var why = ""
    for attempt in 1...ApplyMachine.maximumRollbacks {
      pause(before: attempt - 1)
      do {
        let rules = try committedRules(committed)
        known = rules
        let targets = targets(new: nil, old: rules, ledger: ledger)
        guard var target = targets.old else { break }
        target.preparesForeignChains = true
        let isLast = attempt == ApplyMachine.maximumRollbacks
        try loadBoth(target, targets.originals, isOnlyWay: isLast)
        try requireLoadedAfterUpgrade(target)
        noteKernel(rules.rules, of: committed.content)
        checkLock()
        // Not being able to say so is no reason to undo it.
        if ledger.degraded != nil { try? append(.restored) }
        return .committed(committed.accepted.serial)
      } catch {
        why += (attempt == 1 ? "" : "; ") + ErrorChain(error).message
      }
    }
    why = cut(SafeText.escape("restore release \(committed.accepted.serial): \(why)"))
    try loadSafePolicy(why: why, known: known)
    return .safePolicy(why: why)
  }

  private func openJournal() throws {
    guard journal == nil else { return }
    do {
      journal = try Journal(on: state)
    } catch {
      throw Failure(
        "open the journal", because: error,
        hint: "what this host accepted last is unknown; find out why its disk changed, then enroll it again")
    }
  }

  /// Ends a transaction that did not end, and finishes a flip that was recorded but not done.
  func settle() throws {
    guard let ledger = journal?.ledger else { throw Reason("the journal is not open") }
    if let open = ledger.open {
      if open.touchedKernel {
        try takeBack(open, ledger)
      } else {
        try append(.abandoned(open.id))
        deadMan.disarm()
      }
    }
    if let committed = journal?.ledger.committed { try store.flip(to: committed.name) }
  }

  /// Whatever boot it is: a transaction that touched the kernel is never resumed.
  private func takeBack(_ open: OpenTransaction, _ ledger: Ledger) throws {
    // What was being applied, as far as its files still tell.
    var new = Self.twice { try KnownRules(readmitting: open, by: self) }
    // After a reboot nothing of what was replaced is in the kernel any more; who made it makes it again.
    let isSameBoot = open.deadline.map { $0.bootID == facts.bootID } ?? true
    var old = Self.twice { try oldRules(ledger) }
    new = new?.givingUp(old)
    if isSameBoot || ledger.committed == nil,
      let replaced = Self.twice({ try store.read(.replaced, of: open.bundle) }) ?? nil
    {
      var copy = KnownRules.copy(replaced, of: old)
      copy.sources = old?.sources ?? []
      old = copy
    }
    var drive = Drive(
      machine: ApplyMachine(open), plan: open, targets: targets(new: new, old: old, ledger: ledger))
    drive.isLaterBoot = !isSameBoot
    let first = drive.machine.resume(
      because: "the agent was interrupted while it applied release \(open.release.serial)")
    let end = try run(&drive, from: first)
    // When nothing could be loaded, or that could not be recorded, it stays open and nothing new may begin.
    guard journal?.ledger.open != nil else { return }
    var why = "its end cannot be recorded"
    if case .outcome(let outcome) = end, outcome.result == .failed { why = outcome.detail }
    throw Reason("transaction \(open.id) is not taken back: \(why)")
  }

  /// Outside of a transaction: beside other people's rules if it can be, in place of whole tables if not.
  func loadSafePolicy(why: String, known: KnownRules?) throws {
    let ledger = (try? ledger()) ?? Ledger()
    let targets = targets(new: nil, old: known, ledger: ledger)
    if journal != nil { try? append(.safePolicy(why: why, nil)) }
    var last: (any Error)?
    for attempt in 1...ApplyMachine.maximumSafeLoads {
      pause(before: attempt - 1)
      let isLast = attempt == ApplyMachine.maximumSafeLoads
      do {
        if isLast, journal != nil { try? append(.safePolicyIsWhole) }
        let target = isLast ? targets.wholeSafe : targets.safe
        try loadBoth(target, targets.originals, evenUnread: isLast)
        try requireLoaded(target)
        if isLast { keepSafePrinted() }
        noteKernel(target.rules, of: nil)
        checkLock()
        return
      } catch {
        last = error
      }
    }
    throw Failure("load the safe policy", because: last, hint: "it was to be loaded because: \(why)")
  }
}

extension KnownRules {
  init(readmitting open: OpenTransaction, by agent: HostAgent) throws {
    let bundle = try agent.readmitted(open.bundle, accepted: open.release)
    self = try agent.knownRules(of: bundle, in: open.bundle)
  }
}
