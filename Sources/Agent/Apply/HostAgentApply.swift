package import Core
internal import Release
internal import Ruleset
package import Wire

// The driver: performs the machine's actions, one after the other, and tells it how each went.

extension HostAgent {
  package func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest, terms: ConfirmationTerms,
    from connection: ManagementConnection
  ) throws(Refusal) -> ApplyAnswer {
    .outcome(try apply(files, transaction: transaction, manifest: manifest))
  }

  package func confirm(
    _ confirmation: ChangeConfirmation, from connection: ManagementConnection
  ) throws(Refusal) -> Outcome {
    throw Refusal(code: .notConfirmable, detail: "no change waits for a confirmation")
  }

  package func cancel(_ transaction: TransactionID) throws(Refusal) -> Outcome {
    throw Refusal(code: .notConfirmable, detail: "no change waits for a confirmation")
  }

  package var confirmBy: BootTime? { nil }

  package func expire(because why: String) {}

  package func obey(_ order: LocalOrder) throws(Refusal) -> String {
    throw Refusal(code: .unsupported, detail: "local orders are not known here")
  }

  private func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest
  ) throws(Refusal) -> Outcome {
    let ledger: Ledger
    do {
      try settle()
      guard let journal else { throw Reason("the journal is not open") }
      ledger = journal.ledger
    } catch {
      throw Refusal("prepare to apply", error)
    }
    if let known = ledger.outcome(of: transaction) {
      guard known.manifest == manifest else {
        throw Refusal(code: .malformed, detail: "transaction \(transaction) was used for another bundle before")
      }
      return known
    }
    let admitted = try admit(files)
    guard admitted.bundle.manifestDigest == manifest else {
      throw Refusal(code: .malformed, detail: "the bundle's manifest is not the one that was to be applied")
    }
    if let outcome = try answerWithoutChange(admitted, files, transaction, ledger) { return outcome }
    return try change(to: admitted, files, transaction, ledger)
  }

  private func change(
    to admitted: Admitted, _ files: [BundleFile: [UInt8]], _ transaction: TransactionID, _ ledger: Ledger
  ) throws(Refusal) -> Outcome {
    let old: KnownRules?
    do {
      if ledger.committed == nil { try captureGeneration0() }
      // A committed bundle that went bad on disk must not stop its successor, which mends it.
      old = ledger.committed == nil ? try generation0Rules() : try? oldRules(ledger)
    } catch {
      throw Refusal("keep what runs now, to go back to", error)
    }
    let bundle = admitted.bundle
    let tables = admitted.rulesets.map { _, ruleset in Set(ruleset.tableNames) }
    var targets = targets(
      new: admitted.rulesets, newSources: bundle.manifest.sources, emptying: tables, old: old)
    let name = try stage(files, serial: bundle.manifest.serial)
    let plan = OpenTransaction(
      id: transaction, bundle: name, release: bundle.asInstalled, content: bundle.manifest.contentDigest)
    var machine = ApplyMachine(plan, confirmation: confirmation)
    return try drive(&machine, from: machine.begin(), plan, &targets)
  }

  /// The host already runs exactly this and nobody touched it: only a newer serial, if it is one, is recorded.
  private func answerWithoutChange(
    _ admitted: Admitted, _ files: [BundleFile: [UInt8]], _ transaction: TransactionID, _ ledger: Ledger
  ) throws(Refusal) -> Outcome? {
    let bundle = admitted.bundle
    guard let committed = ledger.committed, ledger.degraded == nil,
      committed.content == bundle.manifest.contentDigest,
      isIntact(committed, admitted.rulesets), (try? committedRules(committed)) != nil
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
      try append(.committed(renewed, bundle.asInstalled, outcome))
    } catch {
      store.remove(name)
      throw Refusal("record release \(bundle.manifest.serial)", error)
    }
    // The record decides; recovery flips the pointer if this cannot.
    try? store.flip(to: name)
    store.removeAll(except: name)
    return outcome
  }

  /// Whether the kernel holds what was committed, by programs that are still the same.
  private func isIntact(_ committed: CommittedBundle, _ rulesets: PerFamily<Ruleset>) -> Bool {
    guard let programs = try? firewall.programs(), programs.description == committed.expectation.programs else {
      return false
    }
    let target = LoadTarget(
      inputs: rulesets.map { _, ruleset in RestoreInput(ruleset) }, expected: committed.expectation.digests)
    return (try? requireLoaded(target)) != nil
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

  // MARK: - Driving

  func drive(
    _ machine: inout ApplyMachine, from first: ApplyMachine.Action, _ plan: OpenTransaction, _ targets: inout Targets
  ) throws(Refusal) -> Outcome {
    var action = first
    while true {
      switch action {
      case .refuse(let refusal):
        store.remove(plan.bundle)
        throw refusal
      case .answer(let outcome):
        store.removeAll(except: journal?.ledger.committed?.name)
        return outcome
      case .journal(let record):
        action = Self.next(&machine, "write the journal", { try append(record) }) { $0.journalled() }
      case .rehearse:
        do throws(Refusal) {
          action = machine.rehearsed(try rehearseNew(plan.bundle, &targets))
        } catch {
          action = machine.failed(error)
        }
      case .load(let side, let family):
        let target = targets[side]
        action = Self.next(
          &machine, "load \(side) \(family) rules",
          {
            guard let target else { throw Reason("they cannot be read from disk") }
            try load(target, family)
          }
        ) { $0.loaded() }
      case .reread(let side):
        let target = targets[side]
        let now = clock.now()
        action = Self.next(
          &machine, "read \(side) rules back",
          {
            guard let target else { throw Reason("they cannot be read from disk") }
            if side == .old { try requireLoadedAfterUpgrade(target) } else { try requireLoaded(target) }
          }
        ) { $0.matched(at: now) }
      case .flip(let name):
        action = Self.next(&machine, "flip the committed bundle", { try store.flip(to: name) }) { $0.flipped() }
      }
    }
  }

  private static func next(
    _ machine: inout ApplyMachine, _ operation: String, _ effect: () throws -> Void,
    _ done: (inout ApplyMachine) -> ApplyMachine.Action
  ) -> ApplyMachine.Action {
    do { try effect() } catch { return machine.failed(Refusal(operation, error)) }
    return done(&machine)
  }

  private func rehearseNew(_ name: BundleName, _ targets: inout Targets) throws(Refusal) -> Expectation {
    guard let new = targets.new else { throw Refusal(code: .internalError, detail: "there is nothing to rehearse") }
    let (expectation, texts) = try rehearse(new.inputs)
    do {
      try store.keep(expected: texts, of: name)
    } catch {
      throw Refusal("store what the rehearsal printed", error)
    }
    targets.new = LoadTarget(inputs: new.inputs, expected: expectation.digests)
    return expectation
  }
}

extension ApplyMachine.Side: CustomStringConvertible {
  package var description: String {
    switch self {
    case .new: "the new"
    case .old: "the last committed"
    case .safe: "the safe policy's"
    }
  }
}
