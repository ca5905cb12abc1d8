internal import Core
internal import Release
internal import Ruleset
internal import Wire

// The driver: performs the machine's actions, one after the other, and tells it how each went.

/// One run of the machine, and all it needs.
struct Drive {
  var machine: ApplyMachine
  let plan: OpenTransaction
  var targets: Targets
  /// Nil where going back is all there is to do.
  var rehearsal: RehearsalPlan?
  var deadline: ArmedDeadline?
  /// What the host prints of the new side: known from the rehearsal, or else once it is loaded and read back.
  var expectation: Expectation?
  /// Where it was ordered from.
  var origin: ManagementConnection?
  /// Whoever was connected before the new rules could be asked for more than what they let live on.
  var connectedBefore = KnownConnections()
  var warnings: [String] = []
  /// Tries of going back so far.
  var triesBack = 0
  /// The kernel has nothing of what was loaded before; otherwise the sets that the old rules name are still there.
  var isLaterBoot = false
}

/// What the rehearsal of the new side is to try.
struct RehearsalPlan {
  var terms: ConfirmationTerms
  var paths: [KnockPath]
  var grants: [Grant]
  /// What the host holds, where ours stands beside other people's.
  var live: PerFamily<Ruleset>?
  /// A first apply of owned mode stops at foreign accepts.
  var isFirst: Bool
  /// Root stands at the console: nobody is knocking.
  var isLocal = false
  /// What is expected of a side that gives our rules up, once it is committed.
  var committedDigests: PerFamily<Digest>?
  /// The bundle's lockdown profiles, and from where its owners manage the host.
  var profiles: [StagedProfile] = []
  var sources: [String] = []

  func isManager(_ source: String) -> Bool {
    guard let asked = AddressPrefix(source) else { return false }
    return sources.contains { AddressPrefix($0)?.contains(asked) ?? false }
  }
}

/// A change that is loaded and not confirmed.
struct WaitingChange {
  var drive: Drive
  let nonce: Nonce
  let deadline: ArmedDeadline
  /// When it began to wait.
  let applied: BootTime
}

enum DriveEnd {
  case outcome(Outcome)
  case waiting(Nonce, ArmedDeadline)
}

extension HostAgent {
  var moment: ApplyMachine.Moment { ApplyMachine.Moment(time: clock.now(), sinceBoot: bootClock.now()) }

  func run(_ drive: inout Drive, from first: ApplyMachine.Action) throws(Refusal) -> DriveEnd {
    var action = first
    while true {
      switch action {
      case .refuse(let refusal):
        disarmAfterEnd()
        store.remove(drive.plan.bundle)
        cleanUp()
        throw refusal
      case .answer(let outcome):
        disarmAfterEnd()
        if outcome.result == .committed, let rules = drive.targets.new?.rules {
          keepOthersBaseline(
            drive.rehearsal?.committedDigests == nil ? rules : .nothing,
            isAccepted: drive.rehearsal?.grants.contains(.acceptOthers) ?? false)
        }
        cleanUp()
        checkLock()
        return .outcome(outcome)
      case .wait(let nonce, let deadline):
        checkLock()
        return .waiting(nonce, deadline)
      case .journal(let record):
        action = attempt(&drive, "write the journal", { _ in try append(record) }) { machine, _ in machine.journalled()
        }
      case .rehearse:
        do throws(Refusal) {
          try rehearseNew(&drive)
          let seconds = drive.rehearsal?.terms.seconds ?? ConfirmationTerms.standard.seconds
          let deadline = ArmedDeadline(time: bootClock.now() + .seconds(Int(seconds)), bootID: facts.bootID)
          drive.deadline = deadline
          action = drive.machine.rehearsed(deadline: deadline, warnings: drive.warnings)
        } catch {
          action = drive.machine.failed(error)
        }
      case .arm(let deadline):
        action = attempt(
          &drive, "arm the rollback", { try deadMan.arm($0.plan.id, until: deadline.time) }
        ) { machine, _ in machine.promised() }
      case .load(let side, let family):
        action = attempt(&drive, "load \(side) \(family) rules", { try load(side, family, &$0) }) { machine, now in
          machine.loaded(at: now.sinceBoot)
        }
      case .reread(let side):
        do {
          let expectation = try reread(side, &drive)
          action = drive.machine.matched(at: moment, nonce: .random(), expectation: expectation)
        } catch {
          action = drive.machine.failed(Refusal("read \(side) rules back", error))
        }
      case .flip(let name):
        action = attempt(&drive, "flip the committed bundle", { _ in try store.flip(to: name) }) { machine, _ in
          machine.flipped()
        }
      }
    }
  }

  /// An end that could not be written down is none for whoever only reads the journal.
  private func disarmAfterEnd() {
    if journal?.ledger.open == nil { deadMan.disarm() }
  }

  private func attempt(
    _ drive: inout Drive, _ operation: String, _ effect: (inout Drive) throws -> Void,
    _ done: (inout ApplyMachine, ApplyMachine.Moment) -> ApplyMachine.Action
  ) -> ApplyMachine.Action {
    do { try effect(&drive) } catch { return drive.machine.failed(Refusal(operation, error)) }
    return done(&drive.machine, moment)
  }

  /// Both families are read, and both texts made, before the first is loaded, so that they differ for no longer than a
  /// load takes.
  private func load(_ side: ApplyMachine.Side, _ family: Family, _ drive: inout Drive) throws {
    if side != .new, family == .ipv6 {
      pause(before: drive.triesBack)
      drive.triesBack += 1
    }
    guard let target = drive.targets[side] else { throw Reason("they cannot be read from disk") }
    if family == .ipv6 {
      if side == .wholeSafe { try? append(.safePolicyIsWhole) }
      drive.targets.prepared = nil
      // Settings that tighten come before the rules, whichever way it goes, and those that loosen after them: a host must
      // not forward while neither side's rules say what.
      if side == .new {
        do { try setUp(target.sets) } catch { throw Refusal("make the sets", error) }
        try requireConverging(.tightening, target.settings, drive.targets.originals)
      } else {
        // What fails here must not keep the old rules waiting: reading back judges it. Nor does the first try ask for sets,
        // which are where the old rules left them unless somebody took them away.
        if drive.triesBack > 1 || drive.isLaterBoot { try? setUp(target.sets) }
        converge(.tightening, target.settings, drive.targets.originals)
      }
      drive.targets.prepared = try prepare(target, evenUnread: side == .wholeSafe)
    }
    guard let prepared = drive.targets.prepared?[family] else { throw Reason("they were not read before") }
    guard side == .new else {
      // A writer that never pauses must not keep a family from being what it never ceased to be; but reading it takes time,
      // which the first try does not spend.
      let isThere = drive.triesBack > 1 && holds(target, family)
      if !isThere { try load(target, family, prepared) }
      if family == .ipv4 { converge(.all, target.settings, drive.targets.originals) }
      return
    }
    var taken = drive.targets.taken
    // Also when a later part of the load fails: what moved has to be put back.
    defer { noteTaken(taken, &drive) }
    try load(target, family, prepared, within: loadLimit(until: drive.deadline)) { more in
      var all = PerFamily<[TakenRule]>.none
      all[family] = more
      let union = taken.union(all)
      guard union != taken else { return }
      try store.keep(taken: union, of: drive.plan.bundle)
      taken = union
    }
    if family == .ipv4 { try requireConverging(.all, target.settings, drive.targets.originals) }
  }

  /// A lack of memory or another writer may pass; a host between two bundles should not wait long: 0.1 s before the second
  /// try, then twice as long each time, 3.1 s in all before the sixth and last.
  func pause(before attempt: Int) {
    guard attempt > 0 else { return }
    bootClock.sleep(for: .milliseconds(50 << min(attempt, 5)))
  }

  /// Of whole tables, which are otherwise loaded over themselves.
  private func holds(_ target: LoadTarget, _ family: Family) -> Bool {
    guard target.rules.isExclusive, !target.leftovers.holdsOwned, let expected = target.expected?[family],
      let saved = try? savedRuleset(family)
    else { return false }
    return target.governed(saved, family).digest == expected
  }

  /// What the new side took is what the old one gives back.
  private func noteTaken(_ taken: PerFamily<[TakenRule]>, _ drive: inout Drive) {
    let more = taken.subtracting(drive.targets.taken)
    drive.targets.taken = taken
    guard !more.isEmpty, let old = drive.targets.old else { return }
    drive.targets.old?.givingBack = old.givingBack.union(more)
  }

  /// - Returns: what this host prints of the rules that it was to hold, and does; of the new side only.
  private func reread(_ side: ApplyMachine.Side, _ drive: inout Drive) throws -> Expectation? {
    guard let target = drive.targets[side] else { throw Reason("they cannot be read from disk") }
    drive.targets.prepared = nil
    if side == .new || side == .old {
      let isLastTry = side == .old && drive.triesBack >= ApplyMachine.maximumRollbacks
      try requireSetUp(target.sets, evenUnread: side == .old)
      if !isLastTry { try requireConverged(target.settings, drive.targets.originals) }
    }
    switch side {
    case .new:
      let saved = try requireLoaded(target)
      if drive.expectation == nil {
        // Nothing was rehearsed: only their shape says that these are the rules that were loaded.
        let texts = saved.map { family, ruleset in target.governed(ruleset, family).canonical() }
        try store.keep(expected: texts, of: drive.plan.bundle)
        drive.expectation = Expectation(
          digests: texts.map { _, text in Digest(of: text) }, programs: try firewall.programs().description)
      }
      if drive.plan.needsConfirmation { drive.connectedBefore = try connectionsNow(drive.origin) }
      if let digests = drive.rehearsal?.committedDigests { drive.expectation?.digests = digests }
      noteKernel(target.rules, of: drive.plan.content)
      return drive.expectation
    case .safe: try requireLoaded(target)
    case .old: try requireLoadedAfterUpgrade(target)
    case .wholeSafe:
      try requireLoaded(target)
      keepSafePrinted()
    }
    noteKernel(target.rules, of: side == .old ? (try? ledger())?.committed?.content : nil)
    return nil
  }

  private func connectionsNow(_ origin: ManagementConnection?) throws -> KnownConnections {
    let ports = Set(facts.sshPorts + [origin?.ends?.destinationPort].compactMap { $0 })
    return KnownConnections(
      ports: ports, ends: try facts.connections(to: ports).union([origin?.ends].compactMap { $0 }))
  }

  private func rehearseNew(_ drive: inout Drive) throws(Refusal) {
    guard var new = drive.targets.new, let plan = drive.rehearsal else {
      throw Refusal(code: .internalError, detail: "there is nothing to rehearse")
    }
    if let live = plan.live, new.rules.isOwned {
      drive.warnings += try judge(findings: findings(new, live), isFirst: plan.isFirst && !plan.isLocal)
    }
    // A host that cannot say who is connected should say so while nothing is changed.
    if drive.plan.needsConfirmation {
      do { _ = try connectionsNow(drive.origin) } catch { throw Refusal("see who is connected", error) }
    }
    try requireSets(new.sets)
    let programs: FirewallPrograms
    do { programs = try firewall.programs() } catch { throw Refusal("find the host's programs", error) }
    let profiles = try profileRehearsal(plan, programs)
    let rehearsed: RehearsedSide?
    do throws(RehearsalProblem) {
      rehearsed = try rehearse(new, live: plan.live, knock: plan.paths, layers: profiles.layers)
    } catch {
      guard case .noNamespace(let why) = error else { throw error.refusal }
      rehearsed = nil
      drive.warnings.append(
        "neither rehearsed nor knocked, only its deadline protects this change: \(SafeText.escape(why))")
    }
    if let rehearsed {
      if !plan.isLocal { drive.warnings += try judge(rehearsed, paths: plan.paths, grants: plan.grants) }
      if let why = rehearsed.withoutLive {
        drive.warnings.append("rehearsed without the host's own rules, which did not load: \(SafeText.escape(why))")
      }
      drive.expectation = rehearsed.expectation
    }
    let known = try profiles.judged(
      rehearsed?.layers, programs: programs.description, grants: plan.grants, isManager: plan.isManager)
    drive.warnings += known.warnings
    new.expected = rehearsed?.expectation.digests
    drive.targets.new = new
    // After the rehearsal, which may have been the first to need the kernel's connection tracking.
    let settings = new.settings ?? .empty
    // Who stands before the host goes back as far as it is known where to.
    if !plan.isLocal || drive.targets.originals.problem == nil {
      drive.targets.originals = try requireSettable(settings, drive.targets.originals)
    }
    if let problem = drive.targets.originals.problem {
      try noteLost(drive.targets.originals)
      drive.warnings.append(
        "some kernel settings may not go back to what they were before: \(SafeText.escape(problem))")
    }
    do {
      if let rehearsed { try store.keep(expected: rehearsed.texts, of: drive.plan.bundle) }
      if !plan.profiles.isEmpty { try store.keep(known.known, of: drive.plan.bundle) }
      if let live = plan.live {
        let taken = PerFamily { family in new.change(family, from: live[family]).owned?.taken ?? [] }
        let union = drive.targets.taken.union(taken)
        if !union.isEmpty { try store.keep(taken: union, of: drive.plan.bundle) }
        noteTaken(union, &drive)
      }
    } catch {
      throw Refusal("store what the rehearsal printed", error)
    }
  }
}

extension ApplyMachine.Side: CustomStringConvertible {
  package var description: String {
    switch self {
    case .new: "the new"
    case .old: "the last committed"
    case .safe, .wholeSafe: "the safe policy's"
    }
  }
}
