internal import Core
internal import Release
internal import Ruleset
package import Wire

// What root orders at the console.

extension HostAgent {
  package func obey(_ order: LocalOrder) throws(Refusal) -> String {
    // A change that waits has nothing to do with it.
    if order.deed == .lift { return try liftAtConsole(order) }
    expire(because: "root at the console ordered something else")
    do {
      switch order.deed {
      case .safe:
        do { try settle() } catch {
          // What cannot even be read, or given up in writing (a full disk), must not keep it from whoever stands locked out
          // before the host. What may be half done stays open and guarded: it is taken back first.
          if (try? ledger())?.open?.touchedKernel == true { throw error }
        }
        return try loadSafe(order)
      case .rollback:
        try settle()
        return try rollBack(order)
      case .lift: return try liftAtConsole(order)
      }
    } catch {
      throw Refusal("obey the order", error)
    }
  }

  private func act(_ order: LocalOrder) -> LocalAct {
    LocalAct(deed: order.deed, at: clock.now(), reason: cut(SafeText.escape(order.reason)))
  }

  private func loadSafe(_ order: LocalOrder) throws -> String {
    let ledger = (try? ledger()) ?? Ledger()
    let known = ledger.committed.flatMap { committed in Self.twice { try committedRules(committed) } }
    let isRecorded = (try? append(.localAct(act(order)))) != nil
    try loadSafePolicy(why: "root at the console ordered it: \(cut(SafeText.escape(order.reason)))", known: known)
    return isRecorded
      ? "the safe policy is loaded, until the next release or rollback"
      : "the safe policy is loaded, but that could not be recorded: the next boot goes by what the journal says"
  }

  /// The bundle before the committed one, by the same way as any other, but for the confirmation: who orders it stands
  /// before the host.
  private func rollBack(_ order: LocalOrder) throws -> String {
    let ledger = try ledger()
    guard let previous = ledger.previous else {
      throw Refusal(code: .notConfirmable, detail: "no bundle was committed before the one that runs")
    }
    let bundle = try readmitted(previous.name, accepted: previous.accepted)
    var new = try knownRules(of: bundle, in: previous.name)
    new.expected = nil
    let old = Self.twice { try oldRules(ledger) }
    let name = BundleName(previous.accepted.serial, unique: .random(in: .min ... .max))
    try store.stage(try store.read(previous.name), as: name)
    let plan = OpenTransaction(
      id: .random(), bundle: name, release: previous.accepted, content: previous.content, needsConfirmation: false,
      localAct: act(order))
    var drive: Drive
    do {
      let saved = try changeableRulesets()
      var committedDigests: PerFamily<Digest>?
      switch new.rules {
      case .exclusive:
        if let old, !old.rules.isExclusive {
          try store.keep(
            .replaced, new.replaced(of: saved, over: old).map { _, ruleset in ruleset.canonical() }, of: name)
        }
        // Looked at anew: what was found when that release first came does not know who came since. But where what runs now
        // cannot be read, nobody can tell its rules from those of others.
        if old != nil { new.found = new.found(in: saved, over: old, policies: foundPolicies()) }
      case .owned:
        if let old { new.found = old.found }
        new.taken = new.taken.union(old?.taken ?? .none)
        if !new.taken.isEmpty { try store.keep(taken: new.taken, of: name) }
      case .nothing:
        committedDigests = KnownRules.nothing.expected
        if old != nil { new.found = nil }
        new = new.givingUp(old)
      }
      try keepFound(new, name)
      let wayBack = try store.read(.replaced, of: name).map { KnownRules.copy($0, of: old) } ?? old
      drive = Drive(
        machine: ApplyMachine(plan), plan: plan, targets: targets(new: new, old: wayBack, ledger: ledger),
        rehearsal: RehearsalPlan(
          terms: .standard, paths: [], grants: [], live: new.rules.isExclusive ? nil : saved, isFirst: false,
          isLocal: true, committedDigests: committedDigests, profiles: bundle.profiles,
          sources: bundle.manifest.sources))
      if let target = drive.targets.new {
        // It may wipe what it was allowed to wipe then, and nobody who came since.
        try requireEvictable(target, saved, old: old ?? .nothing, grants: bundle.manifest.grants)
      }
    } catch {
      store.remove(name)
      throw error
    }
    switch try run(&drive, from: drive.machine.begin()) {
    case .outcome(let outcome):
      guard outcome.result == .committed else {
        throw Refusal(code: .internalError, detail: cut("it did not work: \(outcome.detail)"))
      }
      let warnings = outcome.detail.isEmpty ? "" : "; \(outcome.detail)"
      return "release \(outcome.serial) is loaded and committed again\(warnings)"
    case .waiting: throw Refusal(code: .internalError, detail: "a change nobody has to confirm waits")
    }
  }
}
