internal import Core
internal import Ruleset
internal import Wire

/// All in which a host is not as its release wants it, besides the rules that the save programs print: like `ipset` and
/// `sysctl`, in tables that the kernel does not have. `kernel` is what those programs do not show of our rules, `disk` what
/// the next boot would load or trust, `others` what else filters packets.
struct HostDifference: Hashable {
  var beside = BesideDifference()
  var kernel: [KernelDifference] = []
  var disk: [DiskDifference] = []
  var others: [OthersDifference] = []
  /// In words, how the kernel does not hold the lockdown as it was loaded.
  var lock = PerFamily<String?>(ipv4: nil, ipv6: nil)

  var hasNotes: Bool { kernel.contains(.notNoted) || others.contains(.noBaseline) }

  /// But for what tells only that the agent has not written down yet what it compares with.
  var withoutNotes: HostDifference {
    var without = self
    without.kernel.removeAll { $0 == .notNoted }
    without.others.removeAll { $0 == .noBaseline }
    return without
  }

  /// Lines of one table; the rest is counted.
  private static let shown = 1000

  func tables(_ family: Family, expected: Bool, of wanted: BesideRules) -> [RuleTable] {
    let own = [
      ("disk", diskChains(family, expected)), ("kernel", expected ? [] : kernelChains(family)),
      ("others", othersChains(family, expected)),
      ("lockdown", expected ? [] : lock[family].map { [Self.chain("layer", ["# \($0)"])] } ?? []),
    ]
    return beside.tables(family, expected: expected, of: wanted)
      + own.filter { !$0.1.isEmpty }.map { RuleTable(name: $0.0, chains: $0.1) }
  }

  private func kernelChains(_ family: Family) -> [RuleChain] {
    let own = kernel.filter { $0.family == family }
    let places = Dictionary(grouping: own.prefix(Self.shown), by: \.place)
    var chains = places.keys.sorted().map { Self.chain($0, (places[$0] ?? []).map { "# \($0.words)" }) }
    if let rest = Self.rest(own, "more places", { "\($0.place) \($0.words)" }) { chains.append(rest) }
    return chains
  }

  private func diskChains(_ family: Family, _ isExpected: Bool) -> [RuleChain] {
    disk.filter { $0.family == family }.compactMap { file in
      let digest = isExpected ? file.expected : file.found
      // A file that is not to be there has nothing to be expected.
      if digest == nil && isExpected { return nil }
      let words = isExpected ? nil : file.words.map { "# \($0)" }
      return Self.chain(file.name, [words ?? digest.map { "\($0)" } ?? "# there is no such file"])
    }
  }

  private func othersChains(_ family: Family, _ isExpected: Bool) -> [RuleChain] {
    let own = others.filter { $0.family == family }
    var chains: [RuleChain] = own.prefix(Self.shown).compactMap { other in
      if let words = other.words { return isExpected ? nil : Self.chain(other.name, ["# \(words)"]) }
      guard let digest = isExpected ? other.before : other.now else {
        return isExpected ? nil : Self.chain(other.name, ["# it is gone, or no packet passes through it"])
      }
      return Self.chain(other.name, ["\(digest)" + (!isExpected && other.drops ? " # it may drop packets" : "")])
    }
    let rest = Self.rest(own, "more") { other in
      "\(other.name) \(other.words ?? other.now.map { "\($0)" } ?? "gone")"
    }
    if let rest, !isExpected { chains.append(rest) }
    return chains
  }

  /// Those that are counted only. By their digest, since any other difference is drift, also one that is not shown.
  private static func rest<Part>(_ all: [Part], _ what: String, _ words: (Part) -> String) -> RuleChain? {
    guard all.count > shown else { return nil }
    let rest = all.dropFirst(shown).map(words)
    return chain("and-others", ["# \(rest.count) \(what), by digest \(Digest(of: rest.joined(separator: "\n").utf8))"])
  }

  private static func chain(_ name: String, _ lines: [String]) -> RuleChain {
    RuleChain(
      name: name, policy: nil,
      rules: lines.map { Rule(text: Array("-A \(name) \($0.filter { $0 != "\"" })".utf8)) })
  }
}

extension HostAgent {
  /// - Parameters:
  ///   - families: whose rules are in `saved`.
  ///   - found: what else there is, where it was looked for already.
  func difference(
    of committed: CommittedBundle?, _ side: BundleSides.Side?, _ saved: PerFamily<Ruleset>,
    _ programs: FirewallPrograms,
    kernel: NftablesState?, found: OtherFilters
  ) -> HostDifference {
    let beside = side?.beside ?? BesideRules()
    var difference = HostDifference(beside: differences(of: beside), disk: enrolledDifferences())
    guard let committed, let side else { return difference }
    difference.disk += diskDifferences(committed) + journalDifference() + notedDifferences()
    let kept = keptDifferences()
    difference.disk += kept + unknownEnrolment().filter { unknown in !kept.contains { $0.name == unknown.name } }
    difference.others = othersJudge(side.rules, found).differences(found)
    if programs.backend == .nft {
      difference.kernel = kernelDifferences(committed, side.rules, saved, kernel)
    }
    return difference
  }

  /// - Parameter kernel: nil where nobody knows what it holds.
  func kernelDifferences(
    _ committed: CommittedBundle, _ rules: SideRules, _ saved: PerFamily<Ruleset>, _ kernel: NftablesState?
  ) -> [KernelDifference] {
    var known: PerFamily<PrintedChains>?
    let note = kernelNote(of: committed)
    let isLoaded = (try? ledger()).map { $0.open == nil && $0.degraded == nil } ?? false
    let isMissed = note == nil && isPromised(.kernel)
    let unnoted: [KernelDifference] = isMissed && isLoaded && !rules.isNothing ? [.notNoted] : []
    guard let kernel else { return unnoted }
    let judge = KernelJudge(rules: rules, note: note) { family, table, chain in
      // Only a host on which something is wrong pays for this.
      let chains = known ?? self.printedChains(committed, rules, saved)
      known = chains
      let name = PrintedChains.Name(table: table, chain: chain)
      guard let expected = chains[family].expected[name] else { return false }
      return chains[family].found[name] == expected
    }
    return judge.differences(kernel) + unnoted
  }

  private func printedChains(
    _ committed: CommittedBundle, _ rules: SideRules, _ saved: PerFamily<Ruleset>
  ) -> PerFamily<PrintedChains> {
    let texts = expectedTexts(of: committed)
    return PerFamily { family in
      let expected = texts.flatMap { try? parse(saved: $0[family], family) } ?? Ruleset()
      return PrintedChains(expected: expected, found: rules.observed(saved[family], family))
    }
  }
}

/// Digests of the chains of one family, as they are to be printed and as they are.
private struct PrintedChains {
  struct Name: Hashable {
    let table: String
    let chain: String
  }

  let expected: [Name: Digest]
  let found: [Name: Digest]

  init(expected: Ruleset, found: Ruleset) {
    self.expected = Self.digests(expected)
    self.found = Self.digests(found)
  }

  private static func digests(_ rules: Ruleset) -> [Name: Digest] {
    Dictionary(rules.chainDigests().map { (Name(table: $0.table, chain: $0.chain), $0.digest) }) { first, _ in first }
  }
}
