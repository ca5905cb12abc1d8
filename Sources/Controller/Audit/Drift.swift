package import Core
package import Ruleset

/// What a drifted host was asked for: both sides of each family, in the host's own words.
package struct DriftTexts: Hashable, Sendable {
  package var expected: [UInt8]
  package var observed: [UInt8]
  package init(expected: [UInt8], observed: [UInt8]) {
    self.expected = expected
    self.observed = observed
  }
}

/// How the rules of one host differ from what was committed.
package struct HostDrift: Sendable {
  package enum Finding: Sendable {
    /// At least one of the two is not empty.
    case differs(PerFamily<RulesetDiff>)
    /// The report said the host has drifted, and the texts asked for later are equal: somebody changed it back.
    case resolvedSince
    /// A text could not be read, in words for an operator.
    case unreadable(String)
  }

  package struct Chain: Hashable, Sendable {
    package enum Change: String, Hashable, Sendable {
      case added, removed, changed
    }
    package let family: Family
    package let table: String
    package let chain: String
    package let change: Change
  }

  package private(set) var host: HostID
  package let finding: Finding
  /// Which chains, by family, table and name, safe to print.
  package let chains: [Chain]
  /// Of each line of the difference, the place in the policies that it comes from; both empty until somebody knows.
  package private(set) var sources = PerFamily<[SourceLocation?]>(ipv4: [], ipv6: [])
  /// Why the places are not known, in words for an operator.
  package private(set) var untraced: String?
  /// Since when; nil until somebody knows.
  package var span: DriftSpan?
  /// By whom, as far as known.
  package var trail = DriftTrail.empty
  /// That of this very difference; nil while it is drift.
  package var waiver: Waiver?
  /// Equal for hosts with an identical difference that comes from the same places: what stands around it, and where in
  /// its chain a line is, does not count.
  package private(set) var key: Digest
  /// Equal only for the same difference in the same places; nil for what is no difference.
  package let exact: Digest?
  /// Equal for hosts whose differences are shown in the same way, with the rules around them.
  let appearance: Digest

  /// - Parameter context: lines around a difference.
  package init(host: HostID, texts: PerFamily<DriftTexts>, context: Int = 3) {
    do throws(Diagnostics) {
      let sides = try texts.map { family, texts throws(Diagnostics) in
        (
          expected: try Ruleset.parse(save: texts.expected, file: "\(host) \(family) expected"),
          observed: try Ruleset.parse(save: texts.observed, file: "\(host) \(family) observed")
        )
      }
      self.init(
        host: host,
        differing: sides.map { _, sides in
          RulesetDiff.unified(from: sides.expected, to: sides.observed, context: context)
        })
    } catch {
      // The name of the host stands in the file's name: hosts with unreadable texts are not alike.
      let words = SafeText.escape(error.all[0].description)
      self.init(host: host, .unreadable(words), key: Digest(of: "unreadable \(words)".utf8))
    }
  }

  init(host: HostID, differing diffs: PerFamily<RulesetDiff>) {
    guard !diffs.ipv4.isEmpty || !diffs.ipv6.isEmpty else {
      self.init(host: host, .resolvedSince, key: Digest(of: "resolved".utf8))
      return
    }
    self.init(
      host: host, .differs(diffs), key: DriftKey.lines(diffs), exact: DriftKey.places(diffs),
      appearance: Digest(of: "\(diffs.ipv4.text)\n\(diffs.ipv6.text)".utf8),
      chains: Family.allCases.flatMap { Self.chains($0, diffs[$0]) })
  }

  private init(
    host: HostID, _ finding: Finding, key: Digest, exact: Digest? = nil, appearance: Digest? = nil, chains: [Chain] = []
  ) {
    self.host = host
    self.finding = finding
    self.key = key
    self.exact = exact
    self.appearance = appearance ?? key
    self.chains = chains
  }

  /// The report says that it differs, and what it holds cannot be compared.
  ///
  /// - Parameter why: in words for an operator, safe to print; equal for equal cases, so that hosts fold.
  package init(host: HostID, notCompared why: String) {
    self.init(host: host, .unreadable(why), key: Digest(of: "not compared \(why)".utf8))
  }

  /// The same difference of another host; nil for what is none.
  package func on(_ host: HostID) -> HostDrift? {
    guard case .differs = finding else { return nil }
    var other = self
    other.host = host
    return other
  }

  /// Only rules come from a line of a policy, and only those that are gone are asked where they came from.
  package var hasSources: Bool {
    guard case .differs(let diffs) = finding else { return false }
    return Family.allCases.contains { family in
      diffs[family].lines.contains { $0.kind == .removed && BesideTable(rawValue: $0.table) == nil }
    }
  }

  /// The same with the places in the policies that its missing rules come from.
  package func traced(_ source: (Family, DiffLine) -> SourceLocation?) -> HostDrift {
    guard case .differs(let diffs) = finding else { return self }
    var traced = self
    traced.sources = diffs.map { family, diff in diff.lines.map { $0.kind == .removed ? source(family, $0) : nil } }
    var out = ByteWriter()
    out.raw(key.bytes)
    for family in Family.allCases {
      for place in traced.sources[family] { out.text(place.map { "\($0.file):\($0.line)" } ?? "") }
    }
    traced.key = Digest(of: out.bytes)
    return traced
  }

  /// - Parameter why: in words for an operator, safe to print; equal for equal cases, so that hosts fold.
  package func untraced(because why: String) -> HostDrift {
    guard hasSources else { return self }
    var untraced = self
    untraced.untraced = why
    untraced.key = Digest(of: key.bytes + why.utf8)
    return untraced
  }

  /// A chain that is new, or gone, has its declaration among the lines.
  private static func chains(_ family: Family, _ diff: RulesetDiff) -> [Chain] {
    struct Name: Hashable {
      var table: String
      var chain: String
    }
    var declared: [Name: Set<DiffLine.Kind>] = [:]
    for line in diff.lines where line.isChange {
      guard let chain = line.chain else { continue }
      let name = Name(table: line.table, chain: chain)
      declared[name, default: []].formUnion(line.position == nil ? [line.kind] : [])
    }
    return declared.map { name, kinds in
      Chain(
        family: family, table: SafeText.escape(name.table), chain: SafeText.escape(name.chain),
        change: kinds == [.added] ? .added : kinds == [.removed] ? .removed : .changed)
    }.sorted { ($0.table, $0.chain) < ($1.table, $1.chain) }
  }
}

/// Hosts that differ in exactly the same way.
package struct DriftGroup: Sendable {
  package let finding: HostDrift.Finding
  package let chains: [HostDrift.Chain]
  package let sources: PerFamily<[SourceLocation?]>
  package let untraced: String?
  /// Of all its hosts together.
  package let span: DriftSpan?
  /// Of all its hosts together, best effort: the names of those who changed them.
  package let actors: [String]
  package let waiver: Waiver?
  /// The rules around the difference are the same on all of them.
  package let sharesContext: Bool
  /// By name.
  package let hosts: [HostID]

  /// What is not waived first, then the largest, then by the name of the first host.
  package static func fold(_ drifts: [HostDrift]) -> [DriftGroup] {
    struct Key: Hashable {
      let difference: Digest
      let waiver: String?
    }
    return Dictionary(grouping: drifts) { Key(difference: $0.key, waiver: $0.waiver?.sentence) }.values
      .map { drifts in
        DriftGroup(
          finding: drifts[0].finding, chains: drifts[0].chains, sources: drifts[0].sources,
          untraced: drifts[0].untraced, span: DriftSpan.joining(drifts.compactMap(\.span)),
          actors: Set(drifts.flatMap(\.trail.actors)).sorted(), waiver: drifts[0].waiver,
          sharesContext: Set(drifts.map(\.appearance)).count == 1, hosts: drifts.map(\.host).sorted())
      }
      .sorted {
        ($0.waiver == nil ? 0 : 1, -$0.hosts.count, $0.hosts[0]) < (
          $1.waiver == nil ? 0 : 1, -$1.hosts.count, $1.hosts[0]
        )
      }
  }

  package var sides: [DriftSide] { if case .differs(let diffs) = finding { DriftSide.all(diffs) } else { [] } }
}

extension HostDrift {
  /// What differs in one line, safe to print: the first change, and how many more there are.
  package var summary: String {
    guard case .differs(let diffs) = finding else { return "-" }
    let rules = Family.allCases.flatMap { family in
      diffs[family].lines.filter { $0.isChange && BesideTable(rawValue: $0.table) == nil }.map(\.shown)
    }
    let all = rules + BesideWords.of(diffs)
    guard let first = all.first else { return "-" }
    return all.count == 1 ? first : "\(first) and \(all.count - 1) more"
  }
}
