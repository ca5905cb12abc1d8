internal import Core
internal import Ruleset

/// What a bundle wants of the host beside its rules.
struct BesideRules: Hashable {
  var sets = SetsFile.empty
  var settings = SysctlFile.empty
}

/// How a host differs from that, in the form of the rules themselves: tables that the kernel does not have, `ipset` and
/// `sysctl`, with a chain for each set or setting that differs. So it is in the digests that reports compare, in their lists
/// of chains, and in the texts that `drift` shows, while a host that does not differ prints its rules and nothing else.
struct BesideDifference: Hashable {
  var sets: [SetDifference] = []
  var settings: [SettingDifference] = []
  /// In words, why it is not known what all settings were before us, and so what should go back.
  var foundProblem: String?

  var isEmpty: Bool { sets.isEmpty && settings.isEmpty && foundProblem == nil }

  /// Lines of one set on one side; the rest is counted.
  private static let shown = 1000

  /// - Parameter wanted: what the bundle says, to show what is missing of a set that is gone.
  func tables(_ family: Family, expected: Bool, of wanted: BesideRules) -> [RuleTable] {
    let sets = sets.filter { $0.family == family }.map { difference in
      Self.chain(difference.name, expected ? Self.expected(difference, wanted) : Self.observed(difference))
    }
    var settings = settings.filter { $0.key.family == family }.map { difference in
      let value =
        expected ? "\(difference.desired)" : difference.observed.map { "\($0)" } ?? "# there is no such setting"
      return Self.chain(difference.key.description, [value])
    }
    if let foundProblem, family == .ipv4, !expected {
      settings.append(Self.chain(HostAgent.originalsFile, ["# cannot be read: \(Self.quotable(foundProblem))"]))
    }
    return [("ipset", sets), ("sysctl", settings)].filter { !$0.1.isEmpty }.map { RuleTable(name: $0.0, chains: $0.1) }
  }

  private static func expected(_ difference: SetDifference, _ wanted: BesideRules) -> [String] {
    let set = wanted.sets.sets.first { $0.name == difference.name }
    return switch difference.kind {
    case .members(let missing, _): missing
    case .absent, .otherType, .otherOptions, .unreadable: set?.elements.prefix(shown + 1).map(\.description) ?? []
    }
  }

  private static func observed(_ difference: SetDifference) -> [String] {
    let held = difference.held.map { [HeldRemark.text($0)] } ?? []
    return switch difference.kind {
    case .members(_, let extra): held + extra
    case .absent: ["# there is no such set"]
    case .otherType: ["# the set is of another type"] + held
    case .otherOptions: ["# the set has other options"] + held
    case .unreadable(let why): ["# the set cannot be read: \(quotable(why))"]
    }
  }

  /// A quote in a line would have to have its other half there.
  private static func quotable(_ words: String) -> String { SafeText.escape(words).filter { $0 != "\"" } }

  private static func chain(_ name: String, _ words: [String]) -> RuleChain {
    var lines = Array(words.prefix(shown))
    if words.count > shown { lines.append("# and others") }
    return RuleChain(name: name, policy: nil, rules: lines.map { Rule(text: Array("-A \(name) \($0)".utf8)) })
  }
}

extension Ruleset {
  func adding(_ tables: [RuleTable]) -> Ruleset { tables.isEmpty ? self : Ruleset(tables: self.tables + tables) }
}
