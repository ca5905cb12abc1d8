internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Leaving a host as it was found.

extension HostAgent {
  private static let returning = "go back to what was found before the first release"

  /// For removal: our rules go; in owned mode what others have stays, rules taken over stand where they stood, and
  /// policies are as they were found; in exclusive mode what was found is loaded again. False when it was never captured;
  /// then nothing is touched. Nor is it when that would shut the managers out: nobody is left to take it back.
  package func returnToGeneration0() throws -> Bool {
    guard try store.readGeneration0() != nil else { return false }
    let ledger = try ledger()
    let committed = ledger.committed.flatMap { committed in Self.twice { try committedRules(committed) } }
    guard committed != nil || ledger.committed == nil else {
      // Without it nobody knows which policies are ours, nor what it replaced, nor who must get in.
      throw Failure(
        Self.returning,
        because: Reason("the committed bundle cannot be read, so what it changed is not known"),
        hint: "apply a release first, which mends it, or remove with --rules keep")
    }
    var wanted = KnownRules.nothing
    if let found = committed?.found { wanted = .copy(found, of: .nothing) }
    let targets = targets(new: committed, old: wanted, ledger: ledger)
    guard let target = targets.old else { return false }
    try requireRestorable(target, targets.originals)
    try requireWayIn(target, sources: committed?.sources ?? [])
    try loadBoth(target, targets.originals)
    try requireLoadedAfterUpgrade(target)
    try requireRestored()
    return true
  }

  /// Says what beside the rules cannot go back, while nothing is changed.
  private func requireRestorable(_ target: LoadTarget, _ originals: FoundSettings) throws {
    let hint = "or remove with --rules keep"
    if let problem = originals.problem {
      throw Failure(
        Self.returning, because: Reason("not all is known of what kernel settings were: \(SafeText.escape(problem))"),
        hint: "set by hand what you know better, leave an empty \(Self.originalsFile), then do this again, \(hint)")
    }
    for difference in differences(of: SysctlFile.empty) {
      do { try settings.requireWritable(difference.key) } catch { throw Self.stuck([difference], error) }
    }
    let calls = SetCalls(firewall, bootClock)
    let sets = ownSets(calls)
    if let holders = try holders(of: sets, calls) ?? users(of: sets, after: target) {
      throw Failure(Self.returning, because: Reason(holders.words), hint: "\(holders.hint), \(hint)")
    }
  }

  /// In words, which rule of others would keep one of these sets from going away; nil when none does.
  private func users(of sets: Set<String>, after target: LoadTarget) throws -> (words: String, hint: String)? {
    guard !sets.isEmpty else { return nil }
    for family in Family.allCases {
      for table in target.foreignRules(after: try savedRuleset(family), family).tables {
        guard let name = SetName.named(in: Ruleset(tables: [table])).intersection(sets).min() else { continue }
        return (
          "a rule in table \(table.name) of \(family) that is not ours uses our ipset \(name)",
          "take it out (\(family == .ipv4 ? "iptables-save" : "ip6tables-save") shows it), then do this again"
        )
      }
    }
    return nil
  }

  /// The rules are back, and this is all that may not be.
  private func requireRestored() throws {
    let settings = differences(of: SysctlFile.empty)
    guard settings.isEmpty else { throw Self.stuck(settings, nil) }
    let left = sweepSets(keeping: []).sorted()
    guard left.isEmpty else {
      throw Failure(
        Self.returning,
        because: Reason("something that is not ours still uses our ipsets \(left.joined(separator: ", "))"),
        hint: "find it with 'iptables-save' and 'ipset list', then do this again, or remove with --rules keep")
    }
  }

  private static func stuck(_ settings: [SettingDifference], _ cause: (any Error)?) -> Failure {
    let words = settings.map { "\($0.key) is \($0.observed.map { "\($0)" } ?? "unreadable") and was \($0.desired)" }
    let why = cause.map { ": \(ErrorChain($0).message)" } ?? ""
    return Failure(
      returning, because: Reason("kernel settings cannot be put back: \(words.joined(separator: ", "))\(why)"),
      hint: "put them back by hand, then do this again, or remove with --rules keep")
  }

  /// A policy of DROP was found, say, and the accepts that went with it are gone since.
  private func requireWayIn(_ target: LoadTarget, sources: [String]) throws {
    guard !sources.isEmpty else { return }
    let live = target.rules.isExclusive ? nil : try savedRulesets()
    // Where it cannot be rehearsed nothing is known, as with any change.
    guard let rehearsed = try? rehearse(target, live: live, knock: knockPaths(sources: sources, from: nil)) else {
      return
    }
    do {
      _ = try judge(rehearsed, paths: knockPaths(sources: sources, from: nil), grants: [])
    } catch {
      throw Failure(
        Self.returning, because: Reason(error.detail),
        hint: "let the managers in by rules of your own first, or remove with --rules keep")
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
