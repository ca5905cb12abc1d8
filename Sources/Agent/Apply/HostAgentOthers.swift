internal import Core
internal import Ruleset
internal import Wire

// What else filters packets: finding it, and taking down what was found.

extension HostAgent {
  /// Nil where none was taken yet. Of one that somebody edited or removed nobody knows what it held: nothing that is there
  /// now counts as having been there then.
  func othersBaseline() -> OthersBaseline? {
    isTampered(.others) ? OthersBaseline(OtherFilters()) : readNoted(.others).flatMap(OthersBaseline.init(parsing:))
  }

  /// After a release was committed, where no deadline runs any more. Failing is no reason not to commit: it is shown, and
  /// tried again with the next look. So is what comes too early after a boot: half of what software sets up would be taken
  /// for how its owners want it.
  ///
  /// - Parameter isAccepted: the release says that what is there now is as its owners want it.
  func keepOthersBaseline(_ rules: SideRules, isAccepted: Bool) {
    guard !rules.isNothing else { return forgetNoted(.others) }
    // Whatever happens to the new one, the old one is not to be gone by any more.
    if isAccepted { promiseNoted(.others) }
    guard isPastBoot, isAccepted || othersBaseline() == nil, let saved = try? savedRulesets(),
      let programs = try? firewall.programs()
    else { return }
    let isRenewal = !isAccepted && readNoted(.others) != nil
    _ = takeOthersBaseline(beside: saved, rules, programs, isLate: isRenewal)
  }

  /// Of an agent that wrote no format, and mostly noted nothing in the journal either.
  private func earlierOthers() -> EarlierOthers? {
    (readNoted(.others) ?? readUnnoted(.others)).flatMap(EarlierOthers.init(parsing:))
  }

  func takeOthersBaseline(
    beside saved: PerFamily<Ruleset>, _ rules: SideRules, _ programs: FirewallPrograms, isLate: Bool
  ) -> Bool {
    // A later release may judge known software too.
    guard case .success(let kernel) = Result(catching: { try firewall.nftables(sets: .ofAll) }) else { return false }
    let reading = KernelReading(state: kernel, isWhole: true, isUnknown: false, problem: nil)
    let found = otherFilters(beside: saved, rules, programs, kernel: reading)
    guard found.problem == nil else { return false }
    var baseline = OthersBaseline(found, rules: Self.rulesOfOthers(saved, rules, programs, found))
    if let earlier = earlierOthers() { baseline = baseline.restricted(to: earlier, found) }
    do { try writeNoted(.others, baseline.encode(), isLate: isLate) } catch { return false }
    return true
  }

  func othersJudge(_ rules: SideRules, _ found: OtherFilters) -> OthersJudge {
    let baseline = othersBaseline()
    othersSeen.formUnion(baseline?.unchanged(in: found) ?? [])
    return OthersJudge(rules: rules, baseline: baseline, seen: othersSeen, isPastBoot: isPastBoot)
  }

  /// - Parameters:
  ///   - saved: what the save programs print; families that do not matter may be empty.
  ///   - rules: ours; nil while there are none.
  func otherFilters(
    beside saved: PerFamily<Ruleset>, _ rules: SideRules?, _ programs: FirewallPrograms,
    kernel: KernelReading
  ) -> OtherFilters {
    var found = OtherFilters()
    // In tables that are wholly ours what nobody known has is ours, or shows as drift.
    let isWhole = rules?.isExclusive ?? false
    for family in Family.allCases {
      let own = rules?.policyChains(family) ?? [:]
      found.ownPolicies[family] = Set(own.flatMap { table, chains in chains.map { "\(table)/\($0)" } })
      found.policies[family] = saved[family].foreignPolicies(besidePolicies: own)
    }
    found.parts = saved.map { family, saved in
      saved.foreignParts(besidePolicies: rules?.policyChains(family) ?? [:]).filter { $0.owner != nil || !isWhole }
    }
    found.sets = Set(Family.allCases.flatMap { SetName.foreign(in: saved[$0]) }).sorted()
    let areJudged = rules?.judgesOthers ?? true
    for family in Family.allCases {
      let read = Result { try otherBackend(family, programs) }
      let reading = lastKnown.otherBackend[family].take(read.map(\.parts), at: bootClock.now())
      found.otherBackend[family] = reading.value ?? nil
      switch read {
      case .success(let read): if !read.isBare { found.isOtherBackendBare = false }
      case .failure(let error):
        found.isOtherBackendBare = false
        found.note(
          "read the other backend's \(family) rules: \(ErrorChain(error).message)", isUnknown: reading.isUnknown,
          isWhole: reading.value != nil, isJudged: areJudged)
      }
      found.unprintedTables[family] = (try? firewall.unprintedTables(family)) ?? []
    }
    if let state = kernel.state { found.take(state, backend: programs.backend) }
    if let problem = kernel.problem {
      // On nft hosts ours are in there.
      found.note(
        ErrorChain(problem).message, isUnknown: kernel.isUnknown, isWhole: kernel.isWhole,
        isJudged: areJudged || programs.backend == .nft)
    }
    return found
  }

  private struct OtherBackend {
    /// Nil where its programs are not here, or cannot print what there is in nf_tables: the kernel's own words then stand
    /// for it.
    let parts: [ForeignPart]?
    /// Its programs print nothing, not even a table.
    let isBare: Bool
  }

  private func otherBackend(_ family: Family, _ programs: FirewallPrograms) throws -> OtherBackend {
    do {
      guard let saved = try firewall.saveOtherBackend(family) else { return OtherBackend(parts: nil, isBare: true) }
      if programs.backend == .legacy, !Self.unspeakableTables(saved).isEmpty {
        return OtherBackend(parts: nil, isBare: false)
      }
      return OtherBackend(parts: try parse(saved: saved, family).foreignParts(), isBare: saved.isEmpty)
    } catch {
      if programs.backend == .legacy, Self.isUnreadable(error) { return OtherBackend(parts: nil, isBare: false) }
      throw error
    }
  }
}
