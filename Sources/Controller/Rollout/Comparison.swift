internal import Core
internal import Ruleset
internal import Wire

/// Differences, each worked out once however many hosts share it.
struct Comparison {
  struct Finding {
    var difference: PlannedHost.Difference
    var key: Digest
    var compared: [Digest] = []
    var changesRules = false
    var changesSettings = false
    var changesLockdowns = false
    static let nothing = Finding(difference: .none, key: Digest(of: []))
  }

  private struct Pair<Side: Hashable>: Hashable {
    var from: Side
    var to: Side
  }
  private enum Outcome<Difference> {
    case diff(Difference)
    case unreadable(String)
  }
  private typealias Rules = (outcome: Outcome<RulesetDiff>, key: Digest)
  private typealias BesideDiffs = (settings: RulesetDiff, sets: RulesetDiff, lockdowns: RulesetDiff)
  private typealias Beside = (outcome: Outcome<PerFamily<BesideDiffs>>, key: Digest)

  let context: Int
  private var known: [Pair<Digest?>: Rules] = [:]
  private var knownBeside: [Pair<BesideTexts>: Beside] = [:]

  init(context: Int) { self.context = context }

  mutating func compare(
    from: PerFamily<RulesText>?, to: PerFamily<RulesText>?,
    beside: (from: BesideTexts, to: BesideTexts) = (.empty, .empty)
  ) -> Finding {
    let ipv4 = compare(.ipv4, from?.ipv4, to?.ipv4)
    let ipv6 = compare(.ipv6, from?.ipv6, to?.ipv6)
    let beside = compare(beside: Pair(from: beside.from, to: beside.to))
    let key = Digest(of: ipv4.key.bytes + ipv6.key.bytes + beside.key.bytes)
    // A marker for each absent text keeps the list's meaning: which of four stands where.
    let compared = [from?.ipv4, from?.ipv6, to?.ipv4, to?.ipv6].map { $0?.digest ?? Digest(of: []) }
    switch (ipv4.outcome, ipv6.outcome, beside.outcome) {
    case (.diff(let ipv4), .diff(let ipv6), .diff(let beside)):
      let rules = PerFamily(ipv4: ipv4, ipv6: ipv6)
      let diff = beside.map {
        BundleDiff(settings: $1.settings, rules: rules[$0], sets: $1.sets, lockdowns: $1.lockdowns)
      }
      return Finding(
        difference: diff.ipv4.isEmpty && diff.ipv6.isEmpty ? .none : .rules(diff), key: key, compared: compared,
        changesRules: !ipv4.isEmpty || !ipv6.isEmpty,
        changesSettings: !diff.ipv4.settings.isEmpty || !diff.ipv6.settings.isEmpty,
        changesLockdowns: !diff.ipv4.lockdowns.isEmpty || !diff.ipv6.lockdowns.isEmpty)
    case (.unreadable(let why), _, _), (_, .unreadable(let why), _), (_, _, .unreadable(let why)):
      return Finding(difference: .notComparable(why), key: key, compared: compared, changesRules: true)
    }
  }

  private mutating func compare(
    _ family: Family, _ from: RulesText?, _ to: RulesText?
  ) -> Rules {
    let pair = Pair(from: from?.digest, to: to?.digest)
    if let found = known[pair] { return found }
    let outcome: Outcome<RulesetDiff>
    do throws(Diagnostics) {
      outcome = .diff(
        RulesetDiff.unified(
          from: try from.map { text throws(Diagnostics) in try .parse(save: text.bytes, file: "\(family) now") }
            ?? Ruleset(),
          to: try to.map { text throws(Diagnostics) in try .parse(save: text.bytes, file: "\(family) planned") }
            ?? Ruleset(),
          context: context))
    } catch {
      outcome = .unreadable(SafeText.escape(error.all[0].description))
    }
    var out = ByteWriter()
    switch outcome {
    case .diff(let diff): out.text(diff.text)
    case .unreadable(let why): out.text("unreadable \(why)")
    }
    let found = (outcome: outcome, key: Digest(of: out.bytes))
    known[pair] = found
    return found
  }

  private mutating func compare(beside pair: Pair<BesideTexts>) -> Beside {
    // The same on both sides is no change, and need not be read for that.
    let pair = pair.from == pair.to ? Pair(from: .empty, to: .empty) : pair
    if let found = knownBeside[pair] { return found }
    var out = ByteWriter()
    let found: Beside
    do throws(StrictTextProblem) {
      let (from, to) = (try pair.from.parsed(), try pair.to.parsed())
      let diffs = PerFamily { family in
        (
          settings: RulesetDiff.settings(from: from.settings, to: to.settings, family),
          sets: RulesetDiff.members(from: from.sets, to: to.sets, family),
          lockdowns: RulesetDiff.lockdowns(from: pair.from.lockdowns(family), to: pair.to.lockdowns(family))
        )
      }
      for family in Family.allCases {
        out.text(diffs[family].settings.text)
        out.text(diffs[family].sets.text)
        if !diffs[family].lockdowns.isEmpty { out.text(diffs[family].lockdowns.text) }
      }
      found = (.diff(diffs), Digest(of: out.bytes))
    } catch {
      out.text("unreadable \(error)")
      found = (.unreadable("\(error)"), Digest(of: out.bytes))
    }
    knownBeside[pair] = found
    return found
  }
}

extension BesideTexts {
  fileprivate func lockdowns(_ family: Family) -> [RulesetDiff.Lockdown] {
    profiles.map { RulesetDiff.Lockdown(name: $0.name, rank: $0.rank, rules: $0.rules[family].bytes) }
  }

  fileprivate func parsed() throws(StrictTextProblem) -> (settings: SysctlFile, sets: SetsFile) {
    (
      try sysctl.map(\.bytes).map(SysctlFile.parse(_:)) ?? .empty,
      try sets.map(\.bytes).map(SetsFile.parse(_:)) ?? .empty
    )
  }
}
