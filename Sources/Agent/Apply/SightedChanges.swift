internal import Core
internal import Wire

extension Sighting {
  /// What happened since an earlier sighting.
  ///
  /// - Parameters:
  ///   - hasActed: the agent did something of its own in between.
  ///   - isEnrolledAnew: an enrolment put back what enrolments write.
  ///   - actors: who asked the kernel for changes in between; nil where nobody listened all the time.
  func changes(
    since earlier: Sighting, hasActed: Bool, isEnrolledAnew: Bool = false, actors: [HostChange.Actor]?
  ) -> [HostChange] {
    let isMoved = Family.allCases.contains { families[$0].isMoved(since: earlier.families[$0]) }
    guard isMoved || hasActed && differs != earlier.differs else { return [] }
    // The same rules in the words of other programs, or in those of another agent.
    if programs != earlier.programs, bootID == earlier.bootID, !hasActed, !differs, !earlier.differs { return [] }
    let moved = movedChains(since: earlier)
    guard hasActed || bootID != earlier.bootID else {
      let own = isEnrolledAnew ? putBack(moved, since: earlier) : nil
      let rest = moved.filter { own?.chains.contains($0) != true }
      return [own].compactMap(\.self) + (own == nil || !rest.isEmpty ? others(rest, since: earlier, actors) : [])
    }
    if !isSaidToDiffer || isOtherOfOurs { return [change(.ours(serial), moved)] }
    let news = newlyDiffering(since: earlier)
    if !differs || news?.isEmpty == true { return [change(.oursBesides(serial), moved)] }
    // What we load is read back before it is committed: whatever is different now came later, and from somebody else.
    var loaded = change(.ours(serial), [])
    loaded.families = families.map { _, side in HostChange.Side(observed: side.expected, differs: false) }
    return [loaded] + others(news ?? moved, since: earlier, actors)
  }

  /// What an enrolment did. After a start of the agent nobody knows which chains moved; what differs still did before.
  private func putBack(_ moved: [HostChange.Chain], since earlier: Sighting) -> HostChange? {
    let files = moved.filter { $0.table == "disk" && $0.change == .removed }
    let isKnown = Family.allCases.allSatisfy { earlier.families[$0].chains != nil }
    guard isKnown ? !files.isEmpty : earlier.differs else { return nil }
    return change(isSaidToDiffer ? .oursBesides(serial) : .ours(serial), files)
  }

  /// The agent's own notes included.
  private var isSaidToDiffer: Bool { Family.allCases.contains { families[$0].asReported.differs } }

  /// Who did it, and when, is known only of what nf_tables announces to who listens; the rest came at some time between
  /// two looks.
  private func others(
    _ chains: [HostChange.Chain], since earlier: Sighting, _ actors: [HostChange.Actor]?
  ) -> [HostChange] {
    let announced = actors == nil ? [] : chains.filter(isAnnounced)
    let rest = actors == nil ? chains : chains.filter { !isAnnounced($0) }
    var changes: [HostChange] = []
    if !rest.isEmpty || announced.isEmpty {
      changes.append(change(.others, rest))
      changes[0].since = earlier.time
    }
    if !announced.isEmpty {
      changes.append(change(.others, announced))
      changes[changes.endIndex - 1].actors = actors ?? []
    }
    return changes
  }

  private func change(_ cause: HostChange.Cause, _ chains: [HostChange.Chain]) -> HostChange {
    HostChange(
      sequence: 0, time: time ?? UTCTime(secondsSinceEpoch: 0), bootID: bootID, cause: cause,
      families: families.map { _, side in side.asReported }, chains: Array(chains.prefix(WireLimit.changedChains)),
      omittedChains: max(0, chains.count - WireLimit.changedChains))
  }

  private func isAnnounced(_ chain: HostChange.Chain) -> Bool {
    switch chain.table {
    case "disk", "ipset", "sysctl": false
    case "others" where chain.chain.hasPrefix("\(OtherFilter.otherBackend)/"): backend == .legacy
    case "others" where ![OtherFilter.rules, OtherFilter.policy].contains(where: { chain.chain.hasPrefix("\($0)/") }):
      true
    default: backend == .nft
    }
  }

  private func movedChains(since earlier: Sighting) -> [HostChange.Chain] {
    Family.allCases.flatMap { family -> [HostChange.Chain] in
      guard let before = earlier.families[family].chains, let after = families[family].chains else { return [] }
      let names = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
      return names.map { name in
        HostChange.Chain(
          family: family, table: name.table, chain: name.chain,
          change: before[name] == nil ? .added : after[name] == nil ? .removed : .changed)
      }
    }
  }

  /// What differs now, and did not, or in another way. Nil when it is not known.
  private func newlyDiffering(since earlier: Sighting) -> [HostChange.Chain]? {
    var news: [HostChange.Chain] = []
    for family in Family.allCases {
      guard let now = families[family].differing, let before = earlier.families[family].differing else { return nil }
      for name in now.keys.sorted() where now[name] != before[name] {
        news.append(
          HostChange.Chain(
            family: family, table: name.table, chain: name.chain, change: now[name] == .some(nil) ? .removed : .changed)
        )
      }
    }
    return news
  }
}
