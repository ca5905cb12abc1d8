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
    try settle()
    // Enrolment starts the agent, so this keeps what was found on the host. Failing now is no error: the first apply
    // tries again, and refuses when it cannot.
    _ = try? captureGeneration0()
    store.removeAll(except: journal?.ledger.committed?.name)
  }

  /// At boot, before the network comes up: loads the last committed bundle, whatever the kernel holds. Expiry and keys
  /// are not asked: running rules never lapse. On any failure the safe policy is loaded, never nothing.
  package func restore() throws -> Restored {
    let ledger: Ledger
    do {
      // What cannot be written down (a full disk, one that is still read-only) does not keep us from loading what was
      // committed: that is where an open transaction would be taken back to as well.
      try? openJournal()
      try? settle()
      ledger = try self.ledger()
    } catch {
      // Without the journal nobody knows what was committed last.
      let why = "\(ErrorChain(error).message)"
      try loadSafePolicy(why: why, sources: [], emptying: PerFamily(ipv4: [], ipv6: []))
      return .safePolicy(why: why)
    }
    guard let committed = ledger.committed else { return .nothingCommitted }
    var known: KnownRules?
    var why = ""
    for attempt in 1...ApplyMachine.maximumRollbacks {
      do {
        let rules = try committedRules(committed)
        known = rules
        let nothing = PerFamily<Set<String>>(ipv4: [], ipv6: [])
        guard let target = targets(new: nil, newSources: [], emptying: nothing, old: rules).old else { break }
        for family in [Family.ipv6, .ipv4] { try load(target, family) }
        try requireLoadedAfterUpgrade(target)
        // Not being able to say so is no reason to undo it.
        if ledger.degraded != nil { try? append(.restored) }
        return .committed(committed.accepted.serial)
      } catch {
        why += (attempt == 1 ? "" : "; ") + ErrorChain(error).message
      }
    }
    why = cut(SafeText.escape("restore release \(committed.accepted.serial): \(why)"))
    try loadSafePolicy(
      why: why, sources: known?.sources ?? [], emptying: known?.tables ?? PerFamily(ipv4: [], ipv6: []))
    return .safePolicy(why: why)
  }

  /// For removal: puts back what ran before the first bundle, and empties the tables that only our bundle declares.
  /// False when it was never captured; then nothing is touched.
  package func returnToGeneration0() throws -> Bool {
    guard let found = try generation0Rules() else { return false }
    let ours = try ledger().committed.flatMap { try? committedRules($0) }?.tables ?? PerFamily(ipv4: [], ipv6: [])
    guard let target = targets(new: nil, newSources: [], emptying: ours, old: found).old else { return false }
    for family in [Family.ipv6, .ipv4] { try load(target, family) }
    try requireLoadedAfterUpgrade(target)
    return true
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
      }
    }
    if let committed = journal?.ledger.committed { try store.flip(to: committed.name) }
  }

  private func takeBack(_ open: OpenTransaction, _ ledger: Ledger) throws {
    // The tables of the bundle that was being applied, as far as its files still tell.
    let files = (try? store.read(open.bundle)) ?? [:]
    let tables = PerFamily<Set<String>> { family in
      let rules = files[.rules(family)] ?? []
      return Set(((try? Self.parse(rules, family)) ?? Ruleset()).tableNames)
    }
    var targets = targets(new: nil, newSources: [], emptying: tables, old: try? oldRules(ledger))
    var machine = ApplyMachine(open)
    let first = machine.resume(because: "the agent was interrupted while it applied release \(open.release.serial)")
    _ = try drive(&machine, from: first, open, &targets)
    // When even that could not be recorded, the transaction stays open and nothing new may begin.
    if journal?.ledger.open != nil { throw Reason("the end of transaction \(open.id) cannot be recorded") }
  }

  private func loadSafePolicy(why: String, sources: [String], emptying: PerFamily<Set<String>>) throws {
    let target = LoadTarget(
      inputs: PerFamily { family in
        RestoreInput(
          SafePolicy.ruleset(family, sources: sources, sshPorts: facts.sshPorts), emptying: emptying[family])
      },
      expected: nil)
    if journal != nil { try? append(.safePolicy(why: why, nil)) }
    var last: (any Error)?
    for _ in 1...ApplyMachine.maximumSafeLoads {
      do {
        for family in [Family.ipv6, .ipv4] { try load(target, family) }
        return try requireLoaded(target)
      } catch {
        last = error
      }
    }
    throw Failure("load the safe policy", because: last, hint: "it was to be loaded because: \(why)")
  }
}
