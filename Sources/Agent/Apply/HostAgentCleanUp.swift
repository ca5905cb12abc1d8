internal import Core
internal import Release
internal import Ruleset
internal import Wire

// What is put in order once a change has ended.

extension HostAgent {
  /// After an end: what is not needed any more goes, and what works without us says what is committed.
  func cleanUp() {
    guard let ledger = journal?.ledger else { return }
    // Of a transaction that stays open, whoever takes it back has to know what it put into the kernel.
    store.removeAll(
      except: [ledger.committed?.name, ledger.previous?.name, ledger.open?.bundle, ledger.lock?.bundle]
        .compactMap { $0 })
    writePlainFiles()
    noteKeptBundle()
    guard ledger.open == nil else { return }
    // Of a bundle that cannot be read nobody knows what it needs.
    guard let beside = committedBeside(ledger) else { return }
    sweepSets(keeping: beside.sets.names)
    forgetOriginals(neededBy: beside.settings)
  }

  func committedBeside(_ ledger: Ledger) -> BesideRules? {
    guard let committed = ledger.committed else { return BesideRules() }
    return sides[committed.accepted.manifest]?.beside ?? (try? committedRules(committed))?.beside
  }
}
