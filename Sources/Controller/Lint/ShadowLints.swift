internal import Core

/// Rules that do nothing because of others.
///
/// What a person wrote as one may be several rules: an address of a set, a half of each family. It is only reported when
/// none of them can match, and never because one part of it covers another.
enum ShadowLints {

  private struct Item {
    var rules = 0
    var shadows: [(family: Family, table: String, shadow: ShadowSearch.Shadow, earlier: SourceLocation)] = []
  }

  static func run(_ subject: LintSubject) -> [LintFinding] {
    var items: [SourceLocation: Item] = [:]
    for family in Family.allCases {
      for table in subject.rules[family].tables {
        for chain in table.chains {
          for rule in chain.rules { subject.place(family, rule).map { items[$0, default: Item()].rules += 1 } }
        }
        let isForContainers = subject.facts.isOwned && table.name == "filter"
        var search = ShadowSearch(isForContainers ? table.mapping(ContainersChain.meant) : table)
        search.run()
        for shadow in search.found {
          guard let chain = table[chain: shadow.chain], let place = subject.place(family, chain.rules[shadow.rule]),
            let earlier = subject.place(family, chain.rules[shadow.earlier]), earlier != place
          else { continue }
          items[place, default: Item()].shadows.append((family, table.name, shadow, earlier))
        }
      }
    }
    return items.compactMap { place, item in
      guard item.shadows.count == item.rules, let first = item.shadows.first,
        let chain = subject.rules[first.family][table: first.table]?[chain: first.shadow.chain]
      else { return nil }
      let isDuplicate = item.shadows.allSatisfy { $0.shadow.kind == .duplicate }
      let isBehindCatchAll = item.shadows.allSatisfy { $0.shadow.kind == .behindCatchAll }
      return finding(
        isDuplicate ? .duplicateRule : isBehindCatchAll ? .acceptAfterCatchAll : .shadowedRule, at: place,
        earlier: first.earlier, chain: chain.name, chain.rules[first.shadow.rule])
    }
  }

  private static func finding(
    _ rule: LintRule, at place: SourceLocation, earlier: SourceLocation, chain: String, _ view: RuleView
  ) -> LintFinding {
    let name = SafeText.escape(chain)
    let (message, hint) =
      switch rule {
      case .duplicateRule: ("the same rule of \(name) stands at \(earlier) already", "delete one of the two")
      case .acceptAfterCatchAll:
        (
          "this accept can never match: the rule of \(name) at \(earlier) drops everything before it",
          "move it before that rule"
        )
      default:
        (
          "this rule can never match: the rule of \(name) at \(earlier) takes all its packets",
          "delete it, or move it before that rule"
        )
      }
    return LintFinding(rule, at: place, message, hint: hint, related: earlier, subject: "\(chain) \(view.shape)")
  }
}
