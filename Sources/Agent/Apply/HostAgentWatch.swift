internal import Core
internal import Release
internal import Ruleset
package import Wire

// What changed between one look at the rules and the next.

/// What is remembered for that.
struct WatchMemory {
  /// Nil until it was read from disk.
  var log: ChangeLog?
  /// The last look of this process.
  var seen: Sighting?
  /// This process looked, and there was nothing committed yet: what it hears of from then on is of its own time.
  var sawNothingCommitted = false
  /// The agent wrote to its journal since, so that it may have changed the rules itself.
  var hasActed = false
  /// A report saw something else than that look did.
  var isBehind = false
}

extension JournalRecord {
  /// It stands for something that changes the kernel's rules, or what they are compared with.
  var mayMoveRules: Bool {
    switch self {
    case .applying, .committed, .rollingBack, .rolledBack, .safePolicy, .safePolicyIsWhole, .restored,
      .lockdown, .locked, .lifting, .lifted:
      true
    case .snapshot, .staged, .armed, .applied, .abandoned, .localAct, .answered, .expectation, .noted, .lockTime,
      .heard:
      false
    }
  }
}

extension HostAgent {
  package var changes: ChangeLog {
    if let log = watch.log { return log }
    let log = ChangeLog.read(from: state)
    watch.log = log
    return log
  }

  package func look(for actors: [HostChange.Actor]) throws(Refusal) -> Bool {
    do {
      let programs = try firewall.programs()
      var log = changes
      var isBare: Bool?
      let isEnrolledAnew = try state.read(EnrolledFiles.unseenFileName, atMost: 1 << 10) != nil
      if let (sighting, others) = try sighting(programs) {
        isBare = others.isOtherBackendBare
        // Before this process looked first, the last change says how things were; before there was one, they were as
        // committed.
        let earlier = watch.seen ?? log.entries.last.map(Sighting.init(after:)) ?? sighting.asCommitted
        // What this process finds first may have come before it, in another boot even.
        let heard = watch.seen == nil && !watch.sawNothingCommitted ? nil : actors
        let changes = sighting.changes(
          since: earlier, hasActed: watch.hasActed, isEnrolledAnew: isEnrolledAnew, actors: heard)
        for change in changes { log.append(change) }
        watch = WatchMemory(log: log, seen: sighting)
      } else {
        watch.sawNothingCommitted = true
      }
      if isEnrolledAnew { try state.remove(EnrolledFiles.unseenFileName) }
      // Legacy tables announce nothing, whichever backend the host's own programs speak.
      return programs.backend == .nft && watch.seen?.isUnsettled != true
        && (isBare ?? Family.allCases.allSatisfy { (try? firewall.saveOtherBackend($0)?.isEmpty ?? true) ?? false })
    } catch {
      throw Refusal("look for changes", error)
    }
  }

  package var isBehind: Bool { watch.isBehind }

  /// What a report saw unannounced is a reason to look: only looks tell what changed.
  func noteReported(_ observed: PerFamily<Digest>) {
    guard let seen = watch.seen else { return }
    watch.isBehind = Family.allCases.contains { seen.families[$0].observed != observed[$0] }
  }

  package func keepChanges() throws(Refusal) {
    do { try watch.log?.keep(on: state) } catch { throw Refusal("store which changes were seen", error) }
  }

  /// Nil before the first commit: there is nothing yet that the rules could differ from.
  private func sighting(_ programs: FirewallPrograms) throws -> (Sighting, OtherFilters)? {
    try renewExpectation(programs)
    let ledger = try ledger()
    guard let committed = ledger.committed else { return nil }
    let shown = try shownComplete(committed, programs)
    noteLook(shown.difference.lock)
    // Nobody saw then that all is as it was.
    if let stale = shown.others.stale, shown.others.unread.isEmpty { throw Reason(stale) }
    let families = PerFamily<Sighting.Side> { family in
      let held = shown.observedWithoutNotes(family)
      let digest = held.digest
      return Sighting.Side(
        observed: shown.difference.hasNotes ? shown.observed(family).digest : digest, held: digest,
        expected: committed.expectation.digests[family], chains: Dictionary(of: held),
        differing: differing(held, from: committed, family, shown))
    }
    var sighting = Sighting(
      families: families, serial: committed.accepted.serial, bootID: facts.bootID, programs: programs,
      time: clock.now())
    sighting.isUnsettled = isUnsettled(shown)
    sighting.isOtherOfOurs = ledger.degraded != nil || ledger.isHeldSafe || ledger.open != nil
    return (sighting, shown.others)
  }

  /// Something is still to be written down, or may come up yet, though nobody announces it.
  private func isUnsettled(_ shown: Shown) -> Bool {
    shown.difference.kernel.contains(.notNoted)
      || shown.side.map { othersJudge($0.rules, shown.others).awaits(shown.others) } ?? false
  }

  private func differing(
    _ observed: Ruleset, from committed: CommittedBundle, _ family: Family, _ shown: Shown
  ) -> [Sighting.ChainName: Digest?]? {
    guard observed.digest != committed.expectation.digests[family] else { return [:] }
    guard let text = expectedTexts(of: committed)?[family], let expected = try? parse(saved: text, family) else {
      return nil
    }
    let wanted = Dictionary(of: expected.adding(shown.tables(family, expected: true)))
    let held = Dictionary(of: observed)
    var differing: [Sighting.ChainName: Digest?] = [:]
    for name in Set(wanted.keys).union(held.keys) where wanted[name] != held[name] {
      differing.updateValue(held[name], forKey: name)
    }
    return differing
  }
}
