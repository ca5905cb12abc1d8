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

  package let host: HostID
  package let finding: Finding
  /// Which chains, by family, table and name, safe to print.
  package let chains: [Chain]
  /// Of each line of the difference, the place in the policies that it comes from; both empty until somebody knows.
  package private(set) var sources = PerFamily<[SourceLocation?]>(ipv4: [], ipv6: [])
  /// Why the places are not known, in words for an operator.
  package private(set) var untraced: String?
  /// Equal for hosts with an identical difference that comes from the same places.
  package private(set) var key: Digest

  /// - Parameter context: lines around a difference.
  package init(host: HostID, texts: PerFamily<DriftTexts>, context: Int = 3) {
    self.host = host
    var out = ByteWriter()
    do throws(Diagnostics) {
      let sides = try texts.map { family, texts throws(Diagnostics) in
        (
          expected: try Ruleset.parse(save: texts.expected, file: "\(host) \(family) expected"),
          observed: try Ruleset.parse(save: texts.observed, file: "\(host) \(family) observed")
        )
      }
      let diffs = sides.map { _, sides in
        RulesetDiff.unified(from: sides.expected, to: sides.observed, context: context)
      }
      if diffs.ipv4.isEmpty && diffs.ipv6.isEmpty {
        finding = .resolvedSince
        chains = []
        out.text("resolved")
      } else {
        finding = .differs(diffs)
        chains = Family.allCases.flatMap { Self.chains($0, sides[$0].expected, sides[$0].observed) }
        for family in Family.allCases {
          out.text(family.rawValue)
          out.text(diffs[family].text)
        }
      }
    } catch {
      // The name of the host stands in the file's name: hosts with unreadable texts are not alike.
      let words = SafeText.escape(error.all[0].description)
      finding = .unreadable(words)
      chains = []
      out.text("unreadable \(words)")
    }
    key = Digest(of: out.bytes)
  }

  /// The report says that it differs, and what it holds cannot be compared.
  ///
  /// - Parameter why: in words for an operator, safe to print; equal for equal cases, so that hosts fold.
  package init(host: HostID, notCompared why: String) {
    self.host = host
    finding = .unreadable(why)
    chains = []
    key = Digest(of: "not compared \(why)".utf8)
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
    guard case .differs(let diffs) = finding, diffs.ipv4.removed + diffs.ipv6.removed > 0 else { return self }
    var untraced = self
    untraced.untraced = why
    untraced.key = Digest(of: key.bytes + why.utf8)
    return untraced
  }

  private static func chains(_ family: Family, _ expected: Ruleset, _ observed: Ruleset) -> [Chain] {
    struct Name: Hashable {
      var table: String
      var chain: String
    }
    func digests(_ rules: Ruleset) -> [Name: Digest] {
      Dictionary(rules.chainDigests().map { (Name(table: $0.table, chain: $0.chain), $0.digest) }) { first, _ in first }
    }
    let before = digests(expected)
    let after = digests(observed)
    return Set(before.keys).union(after.keys)
      .filter { before[$0] != after[$0] }
      .map { name in
        Chain(
          family: family, table: SafeText.escape(name.table), chain: SafeText.escape(name.chain),
          change: before[name] == nil ? .added : after[name] == nil ? .removed : .changed)
      }
      .sorted { ($0.table, $0.chain) < ($1.table, $1.chain) }
  }
}

/// Hosts that differ in exactly the same way.
package struct DriftGroup: Sendable {
  package let finding: HostDrift.Finding
  package let chains: [HostDrift.Chain]
  package let sources: PerFamily<[SourceLocation?]>
  package let untraced: String?
  /// By name.
  package let hosts: [HostID]

  /// The largest first, then by the name of the first host.
  package static func fold(_ drifts: [HostDrift]) -> [DriftGroup] {
    Dictionary(grouping: drifts, by: \.key).values
      .map { drifts in
        DriftGroup(
          finding: drifts[0].finding, chains: drifts[0].chains, sources: drifts[0].sources,
          untraced: drifts[0].untraced, hosts: drifts.map(\.host).sorted())
      }
      .sorted { (-$0.hosts.count, $0.hosts[0]) < (-$1.hosts.count, $1.hosts[0]) }
  }
}
