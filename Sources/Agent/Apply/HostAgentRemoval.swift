internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Leaving a host as it was found.

extension HostAgent {
  private static let orKeep = "or remove with --rules keep"

  /// For removal: our rules go, and what our exclusive rules replaced comes back; what others have besides stays, rules
  /// taken over stand where they stood, and policies are as they were found. False when nothing was ever captured; then
  /// nothing is touched. Nor is it when that would not load, or would shut the managers out. What fails later is taken
  /// back here: nobody else is left to.
  package func returnToGeneration0() throws -> Bool {
    guard try store.readGeneration0() != nil else { return false }
    try requireUnlocked()
    let ledger = try ledger()
    let parting: Parting
    let prepared: PerFamily<PreparedLoad>
    do {
      let judged = try self.parting(ledger)
      try requireRestorable(judged.target, judged.originals)
      try requireLoadable(judged.target, sources: judged.sources)
      // Others went on writing meanwhile.
      parting = try self.parting(ledger)
      prepared = try prepare(parting.target)
    } catch {
      throw Self.failed(error, "nothing was changed")
    }
    do {
      try loadBoth(parting.target, prepared, parting.originals)
      try requireLoadedAfterUpgrade(parting.target)
      try requireRestored()
    } catch {
      throw Self.failed(error, takeBack(parting, ledger, because: error))
    }
    return true
  }

  /// - Parameter end: what the host holds now.
  private static func failed(_ error: any Error, _ end: String) -> Failure {
    Failure(
      "go back to what was found before the first release (\(end))", because: error,
      hint: ErrorChain(error).hints.first ?? "mend what these words name, then do this again, \(orKeep)")
  }

  /// What a removal loads, and what it goes back to when it cannot.
  private struct Parting {
    let target: LoadTarget
    let wayBack: LoadTarget?
    /// What the way back loads, to build the safe policy in its place.
    let old: KnownRules
    let sources: [String]
    let originals: FoundSettings
  }

  private func parting(_ ledger: Ledger) throws -> Parting {
    let committed = ledger.committed.flatMap { committed in Self.twice { try committedRules(committed) } }
    guard committed != nil || ledger.committed == nil else {
      // Without it nobody knows which policies are ours, nor what it replaced, nor who must get in.
      throw Failure(
        "read the committed bundle", because: Reason("what it changed is not known"),
        hint: "apply a release first, which mends it, \(Self.orKeep)")
    }
    var old = try oldRules(ledger)
    var wanted = KnownRules.nothing
    if let committed, let found = committed.found, committed.rules.isExclusive || found.holdsRules {
      var whole = committed.exclusiveTables ?? PerFamily { _ in [] }
      if ledger.safePolicyIsWhole { whole = whole.map { $1.union(["filter"]) } }
      if Family.allCases.allSatisfy({ whole[$0].isSuperset(of: found[$0].tableNames) }) {
        wanted = .copy(found, of: .nothing)
      } else {
        let live = try changeableRulesets()
        let back = committed.givingBack(found, to: live, whole: whole)
        wanted = .copy(back, of: .nothing)
        // What comes back among rules of others could not be told from theirs afterwards.
        old = .copy(replaced: KnownRules(rules: .exclusive(back)).replaced(of: live, over: old), over: old)
      }
    }
    let targets = targets(new: committed, old: wanted, ledger: ledger)
    guard let target = targets.old else { throw Reason("there is nothing to load") }
    return Parting(
      target: target, wayBack: self.targets(new: wanted, old: old, ledger: ledger).old, old: old,
      sources: committed?.sources ?? [], originals: targets.originals)
  }

  /// - Returns: in words, what the host holds now.
  private func takeBack(_ parting: Parting, _ ledger: Ledger, because error: any Error) -> String {
    guard let target = parting.wayBack, ledger.committed != nil || ledger.degraded != nil else {
      return "none of ours is loaded"
    }
    let release = ledger.committed.map { "release \($0.accepted.serial)" } ?? "what was there"
    let name = ledger.isHeldSafe ? "the safe policy" : release
    for attempt in 1...ApplyMachine.maximumRollbacks {
      pause(before: attempt - 1)
      do {
        let isLast = attempt == ApplyMachine.maximumRollbacks
        try loadBoth(target, parting.originals, isOnlyWay: isLast)
        try requireLoadedAfterUpgrade(target)
        if ledger.degraded != nil, !ledger.isHeldSafe { try? append(.restored) }
        return "\(name) is loaded again"
      } catch {
        continue
      }
    }
    let why = cut(
      SafeText.escape("\(name) did not come back after a removal that failed: \(ErrorChain(error).message)"))
    do { try loadSafePolicy(why: why, known: parting.old) } catch { return "and \(name) did not come back" }
    return "the safe policy is loaded, for \(name) did not come back"
  }

  /// Says what beside the rules cannot go back, while nothing is changed.
  private func requireRestorable(_ target: LoadTarget, _ originals: FoundSettings) throws {
    if let problem = originals.problem {
      throw Failure(
        "see what kernel settings were", because: Reason(SafeText.escape(problem)),
        hint:
          "set by hand what you know better, leave an empty \(Self.originalsFile), then do this again, \(Self.orKeep)"
      )
    }
    for difference in differences(of: SysctlFile.empty) {
      do { try settings.requireWritable(difference.key) } catch { throw Self.stuck([difference], error) }
    }
    let calls = SetCalls(firewall, bootClock)
    let sets: Set<String>
    do { sets = try ownSets(calls) } catch {
      throw Failure(
        "list our ipsets, which have to go too", because: error,
        hint: "mend the ipset program, then do this again, \(Self.orKeep)")
    }
    guard !sets.isEmpty else { return }
    if let holders = holders(of: sets, calls) {
      throw Failure("destroy our ipsets", because: Reason(holders.words), hint: "\(holders.hint), \(Self.orKeep)")
    }
    let rules = try PerFamily { family in target.foreignRules(after: try savedRuleset(family), family) }
    if let use = SetUse(of: sets, in: rules) {
      throw Failure(
        "destroy our ipsets",
        because: Reason("a rule in table \(use.table) of \(use.family) that is not ours uses our ipset \(use.name)"),
        hint: "\(use.hint), \(Self.orKeep)")
    }
  }

  /// The rules are back, and this is all that may not be.
  private func requireRestored() throws {
    let settings = differences(of: SysctlFile.empty)
    guard settings.isEmpty else { throw Self.stuck(settings, nil) }
    let left = try removeSets().sorted()
    guard left.isEmpty else {
      throw Failure(
        "destroy our ipsets",
        because: Reason("something that is not ours still uses \(left.joined(separator: ", "))"),
        hint: "find it with 'iptables-save' and 'ipset list', then do this again, \(Self.orKeep)")
    }
  }

  private static func stuck(_ settings: [SettingDifference], _ cause: (any Error)?) -> Failure {
    let words = settings.map { "\($0.key) is \($0.observed.map { "\($0)" } ?? "unreadable") and was \($0.desired)" }
    let why = cause.map { ": \(ErrorChain($0).message)" } ?? ""
    return Failure(
      "put kernel settings back", because: Reason("\(words.joined(separator: ", "))\(why)"),
      hint: "put them back by hand, then do this again, \(orKeep)")
  }

  /// What was found may load no more: a set that its rules name is gone, say. Or a policy of DROP was found, and the accepts
  /// that went with it are gone since.
  private func requireLoadable(_ target: LoadTarget, sources: [String]) throws {
    let paths = sources.isEmpty ? [] : knockPaths(sources: sources, from: nil)
    let live = target.rules.isExclusive ? nil : try savedRulesets()
    let rehearsed: RehearsedSide
    do throws(RehearsalProblem) {
      rehearsed = try rehearse(target, live: live, knock: paths)
    } catch {
      // As with any change: then what fails shows when it is loaded, and is taken back.
      if case .noNamespace = error { return }
      throw Reason(error.refusal.detail)
    }
    do {
      _ = try judge(rehearsed, paths: paths, grants: [])
    } catch {
      throw Failure(
        "rehearse it", because: Reason(error.detail),
        hint: "let the managers in by rules of your own first, \(Self.orKeep)")
    }
  }
}

extension LoadTarget {
  /// What others have once this side, which has nothing of ours, is loaded over `saved`.
  fileprivate func foreignRules(after saved: Ruleset, _ family: Family) -> Ruleset {
    let input = inputs?[family]
    var left = Ruleset(tables: saved.tables.filter { input?.tables.contains($0.name) != true })
      .withoutOurs(givingBack: [], policies: [:], ours: [:])
    for table in left.tables.indices {
      let replaced = leftovers.replaced[family][table: left.tables[table].name]
      for chain in left.tables[table].chains.indices {
        // As often as we loaded it; what is there once more is somebody else's.
        var ours: [Rule: Int] = [:]
        for rule in replaced?[chain: left.tables[table].chains[chain].name]?.rules ?? [] { ours[rule, default: 0] += 1 }
        left.tables[table].chains[chain].rules.removeAll { rule in
          guard let count = ours[rule], count > 0 else { return false }
          ours[rule] = count - 1
          return true
        }
      }
    }
    return Ruleset(tables: left.tables + (input?.ruleset.tables ?? []))
  }
}
