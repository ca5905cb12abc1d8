internal import Core
internal import Ruleset
internal import Wire

/// What else filtered packets when this host first ran a release of ours: that is how its owners wanted it. It is taken
/// then, and never again while it is there; a host that gives our rules up forgets it.
struct OthersBaseline: Hashable {
  static let fileName = "others-found"
  static let maximumSize = 1 << 20

  private var digests: [String: Digest]

  /// What no packet passes through filters nothing, and is as good as not there.
  init(_ found: [OtherFilter]) {
    digests = Dictionary(found.filter(\.isHooked).map { ($0.key, $0.digest) }) { first, _ in first }
  }

  subscript(filter: OtherFilter) -> Digest? { digests[filter.key] }

  /// What was found then, and filters nothing any more.
  func gone(from found: [OtherFilter]) -> [OthersDifference] {
    let present = Set(found.filter(\.isHooked).map(\.key))
    return digests.filter { !present.contains($0.key) }.sorted { $0.key < $1.key }.compactMap { key, digest in
      let family = Family.allCases.first { key.hasPrefix("\($0)/") }
      return family.map {
        OthersDifference(
          family: $0, name: String(key.dropFirst("\($0)/".count)), before: digest, now: nil, drops: false)
      }
    }
  }

  func encode() -> [UInt8] {
    digests.sorted { $0.key < $1.key }.flatMap { Array("\($0.key) \($0.value)\n".utf8) }
  }

  /// Nil for what `encode` did not write: nobody knows then what was found.
  init?(parsing bytes: [UInt8]) {
    digests = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
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
}

/// Which of the others a release does not put up with.
struct OthersJudge {
  let rules: SideRules
  let baseline: OthersBaseline

  func differences(_ filters: OtherFilters) -> [OthersDifference] {
    let found = filters.all
    let changed = found.filter { $0.isHooked && baseline[$0] != $0.digest && isDrift($0) }.map {
      OthersDifference(family: $0.family, name: $0.name, before: baseline[$0], now: $0.digest, drops: $0.drops)
    }
    // What nobody can read may still be there.
    return filters.unread.isEmpty ? changed + baseline.gone(from: found).filter(isMissed) : changed
  }

  /// Software that is known takes its rules along when it stops.
  private func isMissed(_ gone: OthersDifference) -> Bool {
    let words = gone.name.split(separator: "/", maxSplits: 1).map(String.init)
    guard words.count == 2 else { return false }
    let isRules = words[0] == OtherFilter.rules
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
  /// Nil where none was taken, or where it cannot be read: then nothing is judged by it.
  func othersBaseline() -> OthersBaseline? {
    ((try? state.read(OthersBaseline.fileName, atMost: OthersBaseline.maximumSize)) ?? nil)
      .flatMap(OthersBaseline.init(parsing:))
  }

  /// After a release was committed, where no deadline runs any more, and at the start of an agent that has a commit and no baseline, as after an upgrade.
  /// Failing is no reason not to commit: the next of these tries again.
  func keepOthersBaseline(_ rules: SideRules) {
    defer { noteKept(OthersBaseline.fileName) }
    guard case .nothing = rules else {
      guard othersBaseline() == nil, let saved = try? savedRulesets(), let programs = try? firewall.programs() else {
        return
      }
      // A later release may judge known software too.
      guard let kernel = try? firewall.nftables(sets: .ofAll) else { return }
      let reading = KernelReading(state: kernel, isKnown: true, problem: nil)
      let found = otherFilters(beside: saved, rules, programs, kernel: reading)
      guard found.problem == nil else { return }
      try? state.replace(OthersBaseline.fileName, in: ".", with: OthersBaseline(found.all).encode())
      return
    }
    try? state.remove(OthersBaseline.fileName)
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
    found.parts = saved.map { family, saved in
      saved.foreignParts(besidePolicies: rules?.policyChains(family) ?? [:]).filter { $0.owner != nil || !isWhole }
    }
    found.sets = Set(Family.allCases.flatMap { SetName.foreign(in: saved[$0]) }).sorted()
    let areJudged = rules?.judgesOthers ?? true
    for family in Family.allCases {
      let read = Result { try otherBackend(family, programs) }
      let known = lastKnown.otherBackend[family].take(read.map(\.parts), at: bootClock.now())
      found.otherBackend[family] = known ?? nil
      switch read {
      case .success(let read): if !read.isBare { found.isOtherBackendBare = false }
      case .failure(let error):
        found.isOtherBackendBare = false
        found.note(
          "read the other backend's \(family) rules: \(ErrorChain(error).message)", isKnown: known != nil,
          isJudged: areJudged)
      }
      found.unprintedTables[family] = (try? firewall.unprintedTables(family)) ?? []
    }
    if let state = kernel.state { found.take(state, backend: programs.backend) }
    if let problem = kernel.problem {
      // On nft hosts ours are in there.
      let isJudged = areJudged || programs.backend == .nft
      found.note(ErrorChain(problem).message, isKnown: kernel.isKnown, isJudged: isJudged)
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
