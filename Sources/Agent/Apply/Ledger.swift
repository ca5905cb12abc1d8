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
  }
  package var id: TransactionID
  package var bundle: BundleName
  /// What becomes the serial floor once it is armed.
  package var release: InstalledRelease
  /// Of the manifest without its serial.
  package var content: Digest
  package var phase: Phase

  package init(
    id: TransactionID, bundle: BundleName, release: InstalledRelease, content: Digest, phase: Phase = .staged
  ) {
    self.id = id
    self.bundle = bundle
    self.release = release
    self.content = content
    self.phase = phase
  }

  /// Whether the kernel may differ from the last committed bundle because of this transaction.
  package var touchedKernel: Bool {
    switch phase {
    case .staged, .armed: false
    case .applying, .rollingBack: true
    }
  }
}

/// What all records of the journal together say. Pure: the same records give the same ledger.
package struct Ledger: Hashable, Sendable {
  /// Answers kept for repeated requests.
  package static let maximumOutcomes = 16

  /// The highest release this host ever accepted, whatever became of it afterwards.
  package internal(set) var floor: InstalledRelease?
  package internal(set) var committed: CommittedBundle?
  package internal(set) var open: OpenTransaction?
  /// Oldest first.
  package internal(set) var outcomes: [Outcome] = []
  package internal(set) var lastFailure: LastFailure?
  /// Why the safe policy is loaded; nil when it is not.
  package internal(set) var degraded: String?

  package init() {}

  package func outcome(of transaction: TransactionID) -> Outcome? {
    outcomes.last { $0.transaction == transaction }
  }

  package mutating func replay(_ record: JournalRecord) {
    switch record {
    case .snapshot(let whole): self = whole
    case .staged(let transaction): open = transaction
    case .armed(let raised):
      raise(to: raised)
      open?.phase = .armed
    case .applying: open?.phase = .applying
    case .rollingBack: open?.phase = .rollingBack
    case .abandoned: open = nil
    case .committed(let bundle, let raised, let outcome):
      raise(to: raised)
      committed = bundle
      open = nil
      lastFailure = nil
      degraded = nil
      keep(outcome)
    case .rolledBack(let outcome):
      open = nil
      degraded = nil
      keep(outcome)
      lastFailure = LastFailure(serial: outcome.serial, result: outcome.result, detail: outcome.detail)
    case .safePolicy(let why, let outcome):
      open = nil
      degraded = why
      if let outcome {
        keep(outcome)
        lastFailure = LastFailure(serial: outcome.serial, result: outcome.result, detail: outcome.detail)
      }
    case .restored: degraded = nil
    case .answered(let outcome): keep(outcome)
    case .expectation(let expectation): committed?.expectation = expectation
    }
  }

  private mutating func raise(to raised: InstalledRelease) {
    if let floor, raised.serial < floor.serial { return }
    floor = raised
  }

  private mutating func keep(_ outcome: Outcome) {
    outcomes.removeAll { $0.transaction == outcome.transaction }
    outcomes.append(outcome)
    outcomes.removeFirst(max(0, outcomes.count - Self.maximumOutcomes))
  }
}
