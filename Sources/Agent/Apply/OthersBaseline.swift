internal import Core
internal import Ruleset
internal import Wire

/// What else filtered packets when this host first ran a release of ours: that is how its owners wanted it. It is taken
/// then, and anew only when a release says so; a host that gives our rules up forgets it.
struct OthersBaseline: Hashable {
  private var digests: [String: Digest]
  /// Otherwise an earlier agent wrote it: policies were part of their owners' rules.
  private let hasPoliciesApart: Bool

  private static let format = "format 2"
  /// Of a policy that was ours then: nobody knows what others would have set.
  private static let ours = Digest(of: "ours".utf8)

  /// What no packet passes through filters nothing, and is as good as not there.
  init(_ found: OtherFilters) {
    hasPoliciesApart = true
    digests = Dictionary(
      found.all(policiesApart: true).filter(\.isHooked).map { ($0.key, $0.digest) }
    ) { first, _ in first }
    for key in found.ownPolicyKeys { digests[key] = Self.ours }
  }

  subscript(filter: OtherFilter) -> Digest? { digests[filter.key] }

  /// Those that can be compared with it.
  func comparable(_ found: OtherFilters) -> [OtherFilter] {
    let own = found.ownPolicyKeys
    return found.all(policiesApart: hasPoliciesApart).filter { !own.contains($0.key) && digests[$0.key] != Self.ours }
  }

  /// What was found then, and filters nothing any more.
  func gone(from found: OtherFilters) -> [OthersDifference] {
    let present = Set(comparable(found).filter(\.isHooked).map(\.key)).union(found.ownPolicyKeys)
    let digests = digests.filter { $0.value != Self.ours }
    return digests.filter { !present.contains($0.key) }.sorted { $0.key < $1.key }.compactMap { key, digest in
      let family = Family.allCases.first { key.hasPrefix("\($0)/") }
      return family.map {
        OthersDifference(
          family: $0, name: String(key.dropFirst("\($0)/".count)), before: digest, now: nil, drops: false)
      }
    }
  }

  /// Keys of what is as it was then.
  func unchanged(in found: OtherFilters) -> [String] {
    comparable(found).filter { $0.isHooked && digests[$0.key] == $0.digest }.map(\.key)
  }

  func encode() -> [UInt8] {
    let lines =
      [hasPoliciesApart ? Self.format : NotedFile.format]
      + digests.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return lines.flatMap { Array("\($0)\n".utf8) }
  }

  /// Nil for what `encode` did not write.
  init?(parsing bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    switch lines.first.map(String.init) {
    case Self.format: hasPoliciesApart = true
    case NotedFile.format: hasPoliciesApart = false
    default: return nil
    }
    digests = [:]
    for line in lines.dropFirst() {
      let words = line.split(separator: " ")
      guard words.count == 2, let digest = Digest(String(words[1])) else { return nil }
      digests[String(words[0])] = digest
    }
  }
}

struct OthersDifference: Hashable {
  let family: Family
  let name: String
  /// Nil for what was not there.
  let before: Digest?
  /// Nil for what is gone, or switched off.
  let now: Digest?
  let drops: Bool
  /// Said instead.
  var words: String?

  fileprivate var key: String { OtherFilter.key(family, name) }

  static let noBaseline = OthersDifference(
    family: .ipv4, name: "no-baseline", before: nil, now: nil, drops: false,
    words: "what else filters packets was not written down yet: nobody can tell what is new")
}

/// Which of the others a release does not put up with.
struct OthersJudge {
  let rules: SideRules
  /// Nil where none was taken yet.
  let baseline: OthersBaseline?
  /// Keys of the baseline's filters that were as they are in it at some time since the host started.
  let seen: Set<String>
  /// Everything that is started at boot has had its time.
  let isPastBoot: Bool

  func differences(_ filters: OtherFilters) -> [OthersDifference] {
    // Nobody is late who waits for what comes up at boot.
    guard baseline != nil else { return mayMind && isPastBoot ? [.noBaseline] : [] }
    return unlike(filters).filter { !mayBeUnfinished($0) }
  }

  /// It may be another after some time, though nobody announces it.
  func awaits(_ filters: OtherFilters) -> Bool {
    baseline == nil ? !rules.isNothing : unlike(filters).contains(where: mayBeUnfinished)
  }

  /// Software that is started at boot sets its filters up one by one. What is of no baseline nobody waits for.
  private func mayBeUnfinished(_ difference: OthersDifference) -> Bool {
    !isPastBoot && difference.before != nil && !seen.contains(difference.key)
  }

  private func unlike(_ filters: OtherFilters) -> [OthersDifference] {
    guard let baseline else { return [] }
    let changed = baseline.comparable(filters).filter { $0.isHooked && baseline[$0] != $0.digest && isDrift($0) }.map {
      OthersDifference(family: $0.family, name: $0.name, before: baseline[$0], now: $0.digest, drops: $0.drops)
    }
    return changed + missing(filters)
  }

  private func missing(_ filters: OtherFilters) -> [OthersDifference] {
    // What nobody can read may still be there.
    guard filters.isWhole, let baseline else { return [] }
    return baseline.gone(from: filters).filter(isMissed)
  }

  private var mayMind: Bool {
    switch rules {
    case .nothing: false
    case .exclusive: true
    case .owned(let side): side.deniesForeign || !side.allowed.contains("*")
    }
  }

  /// Software that is known takes its rules along when it stops.
  private func isMissed(_ gone: OthersDifference) -> Bool {
    let words = gone.name.split(separator: "/", maxSplits: 1).map(String.init)
    guard words.count == 2 else { return false }
    let isRules = [OtherFilter.rules, OtherFilter.policy].contains(words[0])
    let isChains = isRules || words[0] == OtherFilter.otherBackend
    let isKnown = isChains ? ForeignOwner(rawValue: words[1]) != nil : TableOwner(ofTable: words[1]) != nil
    return switch rules {
    case .nothing: false
    case .exclusive: !isRules && !isKnown
    case .owned(let side) where side.deniesForeign: true
    case .owned(let side): !isRules && !isKnown && !side.allowed.contains("*")
    }
  }

  private func isDrift(_ filter: OtherFilter) -> Bool {
    switch rules {
    case .nothing: false
    // What else is in the tables themselves shows there.
    case .exclusive: filter.kind != .rules
    case .owned(let side) where side.deniesForeign: true
    case .owned(let side): filter.kind != .rules && !filter.isKnown && !side.allowed.contains("*")
    }
  }
}

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
    if isAccepted { forgetNoted(.others) }
    guard isPastBoot, isAccepted || othersBaseline() == nil, let saved = try? savedRulesets(),
      let programs = try? firewall.programs()
    else { return }
    let isRenewal = !isAccepted && readNoted(.others) != nil
    _ = takeOthersBaseline(beside: saved, rules, programs, isLate: isRenewal)
  }

  func takeOthersBaseline(
    beside saved: PerFamily<Ruleset>, _ rules: SideRules, _ programs: FirewallPrograms, isLate: Bool
  ) -> Bool {
    // A later release may judge known software too.
    guard case .success(let kernel) = Result(catching: { try firewall.nftables(sets: .ofAll) }) else { return false }
    let reading = KernelReading(state: kernel, isWhole: true, isUnknown: false, problem: nil)
    let found = otherFilters(beside: saved, rules, programs, kernel: reading)
    guard found.problem == nil else { return false }
    do { try writeNoted(.others, OthersBaseline(found).encode(), isLate: isLate) } catch { return false }
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
      if programs.backend == .legacy, Self.unspeakableTable(saved) != nil {
        return OtherBackend(parts: nil, isBare: false)
      }
      return OtherBackend(parts: try parse(saved: saved, family).foreignParts(), isBare: saved.isEmpty)
    } catch {
      if programs.backend == .legacy, Self.isUnreadable(error) { return OtherBackend(parts: nil, isBare: false) }
      throw error
    }
  }
}
