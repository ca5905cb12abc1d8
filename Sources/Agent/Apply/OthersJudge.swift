internal import Core
internal import Ruleset

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
  /// Of others' rules in the tables that ours are in.
  var isOfRules: Bool { name.hasPrefix("\(OtherFilter.rules)/") }

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
    let changed = baseline.comparable(filters).filter { $0.isHooked && !baseline.holds($0) && isDrift($0) }.map {
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
