package import Core
internal import Release
internal import Ruleset
package import Wire

extension HostAgent {
  package func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest, terms: ConfirmationTerms,
    from connection: ManagementConnection
  ) throws(Refusal) -> ApplyAnswer {
    if let answer = try answerWhileWaiting(transaction, manifest) { return answer }
    let ledger: Ledger
    do {
      try settle()
      guard let journal else { throw Reason("the journal is not open") }
      ledger = journal.ledger
    } catch {
      throw Refusal("prepare to apply", error)
    }
    if let known = ledger.outcome(of: transaction) {
      guard known.manifest == manifest else { throw Self.otherBundle(transaction) }
      return .outcome(known)
    }
    let bundle = try admit(files)
    guard bundle.manifestDigest == manifest else {
      throw Refusal(code: .malformed, detail: "the bundle's manifest is not the one that was to be applied")
    }
    if let outcome = try answerWithoutChange(bundle, files, transaction, ledger) { return .outcome(outcome) }
    return try change(to: bundle, files, transaction, terms, from: connection, ledger)
  }

  private static func otherBundle(_ transaction: TransactionID) -> Refusal {
    Refusal(code: .malformed, detail: "transaction \(transaction) was used for another bundle before")
  }

  /// A change that waits is answered for again; another has to wait until it ended.
  private func answerWhileWaiting(_ transaction: TransactionID, _ manifest: Digest) throws(Refusal) -> ApplyAnswer? {
    guard let waiting else { return nil }
    let left = waiting.deadline.time - bootClock.now()
    guard left > .zero else {
      expire(because: Self.notConfirmed)
      return nil
    }
    guard waiting.drive.plan.id == transaction else {
      let seconds = Int(left.components.seconds) + 1
      throw Refusal(
        code: .busy,
        detail: "release \(waiting.drive.plan.release.serial) waits to be confirmed for another \(seconds) s")
    }
    guard waiting.drive.plan.release.manifest == manifest else { throw Self.otherBundle(transaction) }
    return .applied(appliedChange(waiting))
  }

  func appliedChange(_ waiting: WaitingChange) -> AppliedChange {
    AppliedChange(
      transaction: waiting.drive.plan.id, manifest: waiting.drive.plan.release.manifest, nonce: waiting.nonce,
      millisecondsLeft: millisecondsLeft(waiting.deadline), warnings: waiting.drive.warnings)
  }

  func millisecondsLeft(_ deadline: ArmedDeadline) -> UInt32 {
    UInt32(clamping: Int64((deadline.time - bootClock.now()) / .milliseconds(1)))
  }

  // MARK: - A change

  private func change(
    to bundle: VerifiedBundle, _ files: [BundleFile: [UInt8]], _ transaction: TransactionID, _ terms: ConfirmationTerms,
    from connection: ManagementConnection, _ ledger: Ledger
  ) throws(Refusal) -> ApplyAnswer {
    let manifest = bundle.manifest
    let name = try stage(files, serial: manifest.serial)
    let plan = OpenTransaction(
      id: transaction, bundle: name, release: bundle.asInstalled, content: manifest.contentDigest,
      isManual: terms.isManual)
    var drive: Drive
    do throws(Refusal) {
      drive = try self.drive(to: bundle, plan, terms, from: connection, ledger)
    } catch {
      store.remove(name)
      throw error
    }
    switch try run(&drive, from: drive.machine.begin()) {
    case .outcome(let outcome): return .outcome(outcome)
    case .waiting(let nonce, let deadline):
      let change = WaitingChange(
        drive: drive, nonce: nonce, deadline: deadline, applied: bootClock.now())
      waiting = change
      return .applied(appliedChange(change))
    }
  }

  /// What was accepted is what there was then: whoever brings the same bundle once more accepts nothing anew.
  private func grants(of bundle: VerifiedBundle, _ ledger: Ledger) -> [Grant] {
    let isRepeat = bundle.asInstalled == ledger.committed?.accepted
    return bundle.manifest.grants.filter { !isRepeat || $0 != .acceptOthers }
  }

  /// Everything the change may need, on disk and in memory, before it begins.
  private func drive(
    to bundle: VerifiedBundle, _ plan: OpenTransaction, _ terms: ConfirmationTerms,
    from connection: ManagementConnection, _ ledger: Ledger
  ) throws(Refusal) -> Drive {
    let manifest = bundle.manifest
    do {
      try captureGeneration0()
      var new = try knownRules(of: bundle, in: nil)
      // A committed bundle that went bad on disk must not stop its successor, which mends it.
      var old = ledger.committed == nil ? try oldRules(ledger) : Self.twice { try oldRules(ledger) }
      let saved = try changeableRulesets()
      var committedDigests: PerFamily<Digest>?
      switch new.rules {
      case .exclusive:
        try keepReplaced(&new, &old, saved, plan, manifest.grants, ledger)
      case .owned:
        new.taken = old?.taken ?? .none
        new.found = old?.found
        try keepFound(new, plan.bundle)
        if !new.taken.isEmpty { try store.keep(taken: new.taken, of: plan.bundle) }
      case .nothing:
        committedDigests = new.expected
        new = new.givingUp(old)
        try keepFound(new, plan.bundle)
      }
      var targets = targets(
        new: new, old: old, takesOver: manifest.grants.contains(.takeOver), ledger: ledger)
      // A safe policy of ours before the first release makes it no later one.
      let isFirst = ledger.committed == nil || !(old?.rules.isOwned ?? false)
      targets.new?.isFirst = isFirst
      if let committed = ledger.committed, let side = sides[committed.accepted.manifest] {
        targets.new?.refills = !isIntactInKernel(committed, side.rules, saved, try firewall.programs())
      }
      if let target = targets.new, manifest.mode == .exclusive {
        try requireEvictable(target, saved, old: old ?? .nothing, grants: manifest.grants)
      }
      let rehearsal = RehearsalPlan(
        terms: terms, paths: knockPaths(sources: manifest.sources, from: connection),
        grants: grants(of: bundle, ledger),
        live: new.rules.isExclusive ? nil : saved, isFirst: isFirst,
        committedDigests: committedDigests, profiles: bundle.profiles, sources: manifest.sources)
      return Drive(
        machine: ApplyMachine(plan), plan: plan, targets: targets, rehearsal: rehearsal, origin: connection)
    } catch {
      throw Refusal("keep what runs now, to go back to", error)
    }
  }

  /// Exclusive mode replaces whole tables. Where that is more than rules of ours, a copy of everything, strictly parsed
  /// because a raw dump can hold a comment with a line feed, is what the host goes back to.
  private func keepReplaced(
    _ new: inout KnownRules, _ old: inout KnownRules?, _ saved: PerFamily<Ruleset>, _ plan: OpenTransaction,
    _ grants: [Grant], _ ledger: Ledger
  ) throws {
    let before = old
    let evicts = grants.contains { if case .evict = $0 { true } else { false } }
    let takesMore = before.map { !$0.rules.isExclusive || new.takesMore(of: saved, than: $0) } ?? true
    if takesMore || evicts {
      // What cannot be read back from disk is no worse in the kernel.
      if old == nil && ledger.committed != nil { return }
      let replaced = new.replaced(of: saved, over: before)
      try store.keep(.replaced, replaced.map { _, ruleset in ruleset.canonical() }, of: plan.bundle)
      old = .copy(replaced: replaced, over: before)
    }
    new.found = new.found(in: saved, over: before, policies: foundPolicies())
    try keepFound(new, plan.bundle)
  }

  func keepFound(_ known: KnownRules, _ name: BundleName) throws {
    guard let found = known.found else { return }
    try store.keep(.found, found.map { _, ruleset in ruleset.canonical() }, of: name)
  }

  // MARK: - No change

  /// The host already runs exactly this and nobody touched it: only a newer serial, if it is one, is recorded.
  private func answerWithoutChange(
    _ bundle: VerifiedBundle, _ files: [BundleFile: [UInt8]], _ transaction: TransactionID, _ ledger: Ledger
  ) throws(Refusal) -> Outcome? {
    guard let committed = ledger.committed, ledger.degraded == nil,
      committed.content == bundle.manifest.contentDigest, let known = try? committedRules(committed),
      isIntact(committed, known)
    else { return nil }
    let outcome = Outcome(
      transaction: transaction, result: .unchanged, serial: bundle.manifest.serial, manifest: bundle.manifestDigest,
      detail: "")
    guard bundle.asInstalled != committed.accepted else {
      do { try append(.answered(outcome)) } catch { throw Refusal("record the answer", error) }
      return outcome
    }
    let name = try stage(files, serial: bundle.manifest.serial)
    var renewed = committed
    renewed.name = name
    renewed.accepted = bundle.asInstalled
    renewed.at = clock.now()
    do {
      if let texts = expectedTexts(of: committed) { try store.keep(expected: texts, of: name) }
      if let profiles = store.rehearsedProfiles(of: committed.name) { try store.keep(profiles, of: name) }
      try keepFound(known, name)
      if !known.taken.isEmpty { try store.keep(taken: known.taken, of: name) }
      keepOthersBaseline(known.rules, isAccepted: bundle.manifest.grants.contains(.acceptOthers))
      try append(.committed(renewed, bundle.asInstalled, outcome))
    } catch {
      store.remove(name)
      throw Refusal("record release \(bundle.manifest.serial)", error)
    }
    // The record decides; recovery flips the pointer if this cannot.
    try? store.flip(to: name)
    cleanUp()
    return outcome
  }

  /// Whether the kernel holds what was committed, by programs that are still the same.
  private func isIntact(_ committed: CommittedBundle, _ known: KnownRules) -> Bool {
    guard let programs = try? firewall.programs(), programs.description == committed.expectation.programs else {
      return false
    }
    let target = LoadTarget(known, over: Leftovers(of: [], found: foundPolicies()))
    guard let saved = try? savedRulesets(), differences(of: known.beside).isEmpty,
      diskDifferences(committed).isEmpty, isIntactInKernel(committed, known.rules, saved, programs)
    else { return false }
    return Family.allCases.allSatisfy { family in
      guard target.difference(saved[family], family) == nil else { return false }
      // A hook may have a foreign accept above it.
      return known.rules.isExclusive
        || known.rules.observed(saved[family], family) == target.governed(saved[family], family)
    }
  }

  /// What the save programs do not show; where that cannot be read it may be anything.
  private func isIntactInKernel(
    _ committed: CommittedBundle, _ rules: SideRules, _ saved: PerFamily<Ruleset>, _ programs: FirewallPrograms
  ) -> Bool {
    guard programs.backend == .nft else { return true }
    guard let kernel = (try? firewall.nftables(sets: .ofNobodyKnown)) ?? nil else { return false }
    return kernelDifferences(committed, rules, saved, beneathLock(kernel)).isEmpty
  }

  private func stage(_ files: [BundleFile: [UInt8]], serial: Serial) throws(Refusal) -> BundleName {
    let name = BundleName(serial, unique: .random(in: .min ... .max))
    do {
      try store.stage(files, as: name)
    } catch {
      throw Refusal("store the bundle", error)
    }
    return name
  }
}
