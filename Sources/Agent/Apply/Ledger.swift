package import Core
package import Release
package import Wire

/// What a rehearsal said this host's programs will print, and which programs said so. Another version may print the
/// same rules in other words, so a changed `programs` calls for another rehearsal, not for an alarm.
package struct Expectation: Hashable, Sendable {
  /// Of the canonical text of each family.
  package var digests: PerFamily<Digest>
  /// Version and backend, "1.8.9 nft".
  package var programs: String

  package init(digests: PerFamily<Digest>, programs: String) {
    self.digests = digests
    self.programs = programs
  }
}

/// The bundle the host runs, as the journal knows it.
package struct CommittedBundle: Hashable, Sendable {
  /// Its directory below `bundles`.
  package var name: BundleName
  package var accepted: InstalledRelease
  /// Of the manifest without its serial.
  package var content: Digest
  package var at: UTCTime
  package var expectation: Expectation

  package init(
    name: BundleName, accepted: InstalledRelease, content: Digest, at: UTCTime, expectation: Expectation
  ) {
    self.name = name
    self.accepted = accepted
    self.content = content
    self.at = at
    self.expectation = expectation
  }

  package var asReported: Committed {
    Committed(serial: accepted.serial, manifest: accepted.manifest, content: content, at: at)
  }
}

/// When a change is taken back that nobody confirmed. Means nothing in another boot than its own.
package struct ArmedDeadline: Hashable, Sendable {
  package var time: BootTime
  package var bootID: String

  package init(time: BootTime, bootID: String) {
    self.time = time
    self.bootID = bootID
  }
}

/// A transaction that has begun and not ended.
package struct OpenTransaction: Hashable, Sendable {
  package enum Phase: UInt8, Hashable, Sendable, CaseIterable {
    /// The bundle is on disk; nothing else happened.
    case staged = 0
    /// Rehearsed, the serial floor raised; the kernel still holds the old rules.
    case armed = 1
    /// The kernel may hold anything between the old rules and the new.
    case applying = 2
    /// Like `applying`, and on the way back.
    case rollingBack = 3
    /// The kernel holds the new rules, which wait to be confirmed.
    case applied = 4
  }
  package var id: TransactionID
  package var bundle: BundleName
  /// What becomes the serial floor once it is armed.
  package var release: InstalledRelease
  /// Of the manifest without its serial.
  package var content: Digest
  package var phase: Phase
  /// False for what root does at the console.
  package var needsConfirmation: Bool
  /// A person confirms; only shown.
  package var isManual: Bool
  /// From ARMED on.
  package var deadline: ArmedDeadline?
  /// From APPLIED on.
  package var nonce: Nonce?
  /// What root did at the console, if this is it.
  package var localAct: LocalAct?

  package init(
    id: TransactionID, bundle: BundleName, release: InstalledRelease, content: Digest, phase: Phase = .staged,
    needsConfirmation: Bool = true, isManual: Bool = false, localAct: LocalAct? = nil
  ) {
    self.id = id
    self.bundle = bundle
    self.release = release
    self.content = content
    self.phase = phase
    self.needsConfirmation = needsConfirmation
    self.isManual = isManual
    self.localAct = localAct
  }

  /// Whether the kernel may differ from the last committed bundle because of this transaction.
  package var touchedKernel: Bool {
    switch phase {
    case .staged, .armed: false
    case .applying, .applied, .rollingBack: true
    }
  }
}

/// An outcome, and what a confirmation of that transaction has to name.
package struct RecordedOutcome: Hashable, Sendable {
  package var outcome: Outcome
  /// Nil when it never waited for one.
  package var nonce: Nonce?

  package init(outcome: Outcome, nonce: Nonce?) {
    self.outcome = outcome
    self.nonce = nonce
  }
}

/// What all records of the journal together say. Pure: the same records give the same ledger.
package struct Ledger: Hashable, Sendable {
  /// Answers kept for repeated requests.
  package static let maximumOutcomes = 16

  /// The highest release this host ever accepted, whatever became of it afterwards.
  package internal(set) var floor: InstalledRelease?
  package internal(set) var committed: CommittedBundle?
  /// What was committed before it, if that was something else: where root can go back to.
  package internal(set) var previous: CommittedBundle?
  package internal(set) var open: OpenTransaction?
  /// Oldest first.
  package internal(set) var recorded: [RecordedOutcome] = []
  package internal(set) var lastFailure: LastFailure?
  /// Why the safe policy is loaded; nil when it is not.
  package internal(set) var degraded: String?
  /// The safe policy took whole tables, other people's rules with them.
  package internal(set) var safePolicyIsWhole = false
  /// The last thing root did at the console, until the next commit.
  package internal(set) var localAct: LocalAct?
  /// Nothing for a file that was never written.
  package internal(set) var noted: [NotedFile: NotedState] = [:]
  /// The lockdown in force, or on its way to be.
  package internal(set) var lock: Lock?
  /// The last order this host heard, whatever became of it.
  package internal(set) var epochFloor: EpochFloor?
  /// How the last lockdown ended.
  package internal(set) var lastLift: LastLift?

  package init() {}

  package var outcomes: [Outcome] { recorded.map(\.outcome) }

  package func outcome(of transaction: TransactionID) -> Outcome? { recordedOutcome(of: transaction)?.outcome }

  package func recordedOutcome(of transaction: TransactionID) -> RecordedOutcome? {
    recorded.last { $0.outcome.transaction == transaction }
  }

  /// Root ordered the safe policy: the host stays on it until the next release or rollback.
  package var isHeldSafe: Bool { localAct?.deed == .safe }

  package mutating func replay(_ record: JournalRecord) {
    switch record {
    case .snapshot(let whole): self = whole
    case .staged(let transaction): open = transaction
    case .armed(let raised, let deadline):
      raise(to: raised)
      open?.phase = .armed
      open?.deadline = deadline
    case .applying: open?.phase = .applying
    case .applied(_, let nonce, let deadline):
      open?.phase = .applied
      open?.nonce = nonce
      open?.deadline = deadline
    case .rollingBack: open?.phase = .rollingBack
    case .abandoned: open = nil
    case .committed(let bundle, let raised, let outcome):
      raise(to: raised)
      if let committed, committed.content != bundle.content { previous = committed }
      committed = bundle
      keep(outcome)
      localAct = open?.localAct
      open = nil
      lastFailure = nil
      mended()
    case .rolledBack(let outcome):
      keep(outcome)
      open = nil
      if !isHeldSafe { mended() }
      lastFailure = LastFailure(serial: outcome.serial, result: outcome.result, detail: outcome.detail)
    case .safePolicy(let why, let outcome):
      if let outcome {
        keep(outcome)
        lastFailure = LastFailure(serial: outcome.serial, result: outcome.result, detail: outcome.detail)
      }
      open = nil
      degraded = why
    case .safePolicyIsWhole: safePolicyIsWhole = true
    case .restored: mended()
    case .localAct(let act): localAct = act
    case .answered(let outcome): keep(outcome)
    case .expectation(let expectation): committed?.expectation = expectation
    case .noted(let file, let state): noted[file] = state
    case .lockdown(let lock, let voided):
      raise(to: lock.order)
      self.lock = lock
      if open?.phase == .applied, open?.id == voided { open?.phase = .rollingBack }
    case .locked(let epoch, let held): if lock?.epoch == epoch { lock?.held = held }
    case .lifting(let floor, _): if let floor { raise(to: floor) }
    case .lifted(let cause, let time):
      if let lock { lastLift = LastLift(epoch: lock.epoch, cause: cause, at: time) }
      lock = nil
    case .lockTime(let epoch, let time): if lock?.epoch == epoch { lock?.time = time }
    case .heard(let floor): raise(to: floor)
    }
  }

  private mutating func raise(to raised: EpochFloor) {
    if let epochFloor, raised.epoch < epochFloor.epoch { return }
    epochFloor = raised
  }

  private mutating func raise(to raised: InstalledRelease) {
    if let floor, raised.serial < floor.serial { return }
    floor = raised
  }

  private mutating func mended() {
    degraded = nil
    safePolicyIsWhole = false
  }

  private mutating func keep(_ outcome: Outcome) {
    let nonce = open?.id == outcome.transaction ? open?.nonce : nil
    recorded.removeAll { $0.outcome.transaction == outcome.transaction }
    recorded.append(RecordedOutcome(outcome: outcome, nonce: nonce))
    recorded.removeFirst(max(0, recorded.count - Self.maximumOutcomes))
  }
}
