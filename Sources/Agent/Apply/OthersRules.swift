internal import Core
internal import Ruleset

/// The rules of others beside ours as they were when the baseline was taken: by them other programs show how they word the
/// same rules.
struct OthersRules: Hashable {
  /// Which printed them, "1.8.9 nft".
  let programs: String
  /// Both families', as they stand in the file: every look reads them, and few have a use for them.
  private let text: [UInt8]

  /// Longer ones are not kept; then what they mean has to do.
  private static let maximumSize = 512 << 10

  /// Nil where taking our own rules away does not leave what others have.
  init?(in saved: PerFamily<Ruleset>, beside side: OwnedSide, by programs: FirewallPrograms, as found: OtherFilters) {
    let others = saved.map { family, saved in
      saved.withoutOurs(givingBack: [], policies: [:], ours: side.rules[family].policies)
    }
    self.init(others, by: programs.description)
    guard text.count <= Self.maximumSize, others.parts == found.parts else { return nil }
  }

  /// - Parameter others: of which nothing is ours.
  init(_ others: PerFamily<Ruleset>, by programs: String) {
    self.programs = programs
    text = Family.allCases.flatMap { Self.heading($0) + others[$0].canonical() }
  }

  /// Nil for what is none.
  func rulesets() -> PerFamily<Ruleset>? {
    let lines = text.split(separator: Self.newline)
    let places = Family.allCases.map { family in
      lines.firstIndex { $0.elementsEqual(Self.heading(family).dropLast()) }
    }
    guard places[0] == 0, let middle = places[1] else { return nil }
    let texts = PerFamily(ipv4: lines[1..<middle], ipv6: lines[(middle + 1)...])
    return try? texts.map { family, lines in
      let text = lines.flatMap { Array($0) + [Self.newline] }
      return try Ruleset.parse(save: text, file: "\(family) rules of others")
    }
  }

  private static func heading(_ family: Family) -> [UInt8] { Array("\(family)\n".utf8) }

  // MARK: - On disk

  static let heading = "rules "
  static let newline = UInt8(ascii: "\n")

  func encode() -> [UInt8] { Array("\(Self.heading)\(programs)\n".utf8) + text }

  /// Nil for what does not begin as `encode` does.
  init?(parsing text: ArraySlice<UInt8>) {
    guard text.starts(with: Self.heading.utf8), let end = text.firstIndex(of: Self.newline) else { return nil }
    programs = String(decoding: text[..<end].dropFirst(Self.heading.utf8.count), as: UTF8.self)
    self.text = Array(text[(end + 1)...])
  }
}

extension PerFamily<Ruleset> {
  fileprivate var parts: PerFamily<[ForeignPart]> { map { _, rules in rules.foreignParts() } }

  /// By key of the baseline.
  func othersDigests(policiesApart: Bool) -> [String: Digest] {
    var digests: [String: Digest] = [:]
    for family in Family.allCases {
      for part in parts[family] {
        digests[OtherFilter.key(family, OtherFilter.name(of: part))] =
          policiesApart ? part.digestBesidePolicies : part.digest
      }
    }
    return digests
  }

  /// As many rules of the same owners: a restore program that loads half of them says it succeeded all the same.
  fileprivate func isShaped(like other: PerFamily<Ruleset>) -> Bool {
    let (mine, others) = (parts, other.parts)
    return Family.allCases.allSatisfy { family in
      mine[family].map(\.owner) == others[family].map(\.owner)
        && mine[family].map(\.rules) == others[family].map(\.rules)
    }
  }
}

extension HostAgent {
  /// What an earlier agent took down is settled as long as the programs are those that it was taken down with.
  func settleOthers(_ shown: Shown, _ rules: SideRules, _ programs: FirewallPrograms) {
    guard shown.others.problem == nil, let baseline = othersBaseline(), !isTampered(.others) else { return }
    let settled = baseline.settled(by: shown.others) {
      Self.rulesOfOthers(shown.saved, rules, programs, shown.others)
    }
    guard settled != baseline else { return }
    // Until it can be written the earlier one serves.
    try? rewriteNoted(.others, settled.encode())
  }

  /// Other programs may word the same rules otherwise. Those of the baseline are then rehearsed, as ours are; where they
  /// do not load, the difference is shown, not hidden.
  func renewOthers(_ programs: FirewallPrograms) -> Bool {
    guard let baseline = othersBaseline(), let rules = baseline.rules, rules.programs != programs.description,
      othersRenewalTried != programs, !isTampered(.others)
    else { return false }
    guard let then = rules.rulesets() else { return false }
    let rehearsed: Rehearsed
    do throws(FirewallProblem) {
      let nothing = PerFamily { _ in RestoreText([], keepsOthers: true) }
      rehearsed = try firewall.rehearse(Rehearsal(live: then.map { _, rules in rules.canonical() }, texts: nothing))
    } catch {
      // The next look tries again, unless it will be so then too.
      if error.kind == .refused || error.kind == .noNamespace { othersRenewalTried = programs }
      return false
    }
    othersRenewalTried = programs
    guard rehearsed.withoutLive == nil, let now = try? rehearsed.saved.map({ try parse(saved: $1, $0) }),
      now.isShaped(like: then)
    else { return false }
    let renewed = baseline.renewed(by: now, rules: OthersRules(now, by: programs.description))
    do { try rewriteNoted(.others, renewed.encode()) } catch { return false }
    return true
  }

  static func rulesOfOthers(
    _ saved: PerFamily<Ruleset>, _ rules: SideRules, _ programs: FirewallPrograms, _ found: OtherFilters
  ) -> OthersRules? {
    guard case .owned(let side) = rules else { return nil }
    return OthersRules(in: saved, beside: side, by: programs, as: found)
  }
}
