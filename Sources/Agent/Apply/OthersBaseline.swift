internal import Core
internal import Ruleset
internal import Wire

/// What else filtered packets when this host first ran a release of ours: that is how its owners wanted it. It is taken
/// then, and never again while it is there; a host that gives our rules up forgets it.
struct OthersBaseline: Hashable {
  static let fileName = "others-found"
  static let maximumSize = 1 << 20

  private var digests: [String: Digest]

  init(_ found: [OtherFilter]) { digests = Dictionary(found.map { ($0.key, $0.digest) }) { first, _ in first } }

  subscript(filter: OtherFilter) -> Digest? { digests[filter.key] }

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
  let now: Digest
  let drops: Bool
}

/// Which of the others a release does not put up with.
struct OthersJudge {
  let rules: SideRules
  let baseline: OthersBaseline

  func differences(_ found: [OtherFilter]) -> [OthersDifference] {
    found.filter { $0.isHooked && baseline[$0] != $0.digest && isDrift($0) }.map {
      OthersDifference(family: $0.family, name: $0.name, before: baseline[$0], now: $0.digest, drops: $0.drops)
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

  /// Before a release is committed, and at the start of an agent that has a commit and no baseline, as after an upgrade.
  /// Failing is no reason not to commit: the next of these tries again.
  func keepOthersBaseline(_ rules: SideRules) {
    defer { noteKept(OthersBaseline.fileName) }
    guard case .nothing = rules else {
      guard othersBaseline() == nil, let saved = try? savedRulesets(), let programs = try? firewall.programs() else {
        return
      }
      let found = otherFilters(
        beside: saved, rules, programs, kernel: Result { try firewall.nftables() })
      guard found.problem == nil else { return }
      try? state.replace(OthersBaseline.fileName, in: ".", with: OthersBaseline(found.all).encode())
      return
    }
    try? state.remove(OthersBaseline.fileName)
  }

  /// - Parameters:
  ///   - saved: what the save programs print; families that do not matter may be empty.
  ///   - rules: ours; nil while there are none.
  ///   - kernel: what nf_tables holds, or why that is not known.
  func otherFilters(
    beside saved: PerFamily<Ruleset>, _ rules: SideRules?, _ programs: FirewallPrograms,
    kernel: Result<NftablesState?, any Error>
  ) -> OtherFilters {
    var found = OtherFilters()
    // In tables that are wholly ours what nobody known has is ours, or shows as drift.
    let isWhole = rules?.isExclusive ?? false
    found.parts = saved.map { _, saved in saved.foreignParts().filter { $0.owner != nil || !isWhole } }
    found.sets = Set(Family.allCases.flatMap { SetName.foreign(in: saved[$0]) }).sorted()
    do {
      found.otherBackend = try PerFamily { family in
        try firewall.saveOtherBackend(family).map { try parse(saved: $0, family).foreignParts() }
      }
    } catch {
      found.problem = cut(SafeText.escape("read the other backend's rules: \(ErrorChain(error).message)"))
    }
    do {
      if let state = try kernel.get() { found.take(state, backend: programs.backend) }
    } catch {
      found.problem = cut(SafeText.escape(ErrorChain(error).message))
    }
    return found
  }
}
