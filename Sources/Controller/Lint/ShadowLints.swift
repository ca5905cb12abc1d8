internal import Core
internal import Ruleset

/// Rules that do nothing because of others.
///
/// What a person wrote as one may be several rules: an address of a set, a half of each family. It is only reported when
/// none of them can match, and never because one part of it covers another. Where none of one family can, that is
/// reported when something else becomes of their packets than the person meant.
enum ShadowLints {
  private struct Shadowed {
    let table: String
    let shadow: ShadowSearch.Shadow
    let earlier: SourceLocation
  }

  /// Of one family.
  private struct Half {
    var rules = 0
    var shadows: [Shadowed] = []

    var isDead: Bool { rules > 0 && shadows.count == rules }
  }

  static func run(_ subject: LintSubject) -> [LintFinding] {
    var items: [SourceLocation: PerFamily<Half>] = [:]
    let nothing = PerFamily(ipv4: Half(), ipv6: Half())
    for family in Family.allCases {
      for table in subject.rules[family].tables {
        for chain in table.chains {
          for rule in chain.rules {
            subject.place(family, rule).map { items[$0, default: nothing][family].rules += 1 }
          }
        }
        let isForContainers = subject.facts.isOwned && table.name == "filter"
        var search = ShadowSearch(isForContainers ? table.mapping(ContainersChain.meant) : table)
        search.run()
        for shadow in search.found {
          guard let chain = table[chain: shadow.chain], let place = subject.place(family, chain.rules[shadow.rule]),
            let earlier = subject.place(family, chain.rules[shadow.earlier]), earlier != place
          else { continue }
          items[place, default: nothing][family].shadows.append(
            Shadowed(table: table.name, shadow: shadow, earlier: earlier))
        }
      }
    }
    return items.compactMap { place, item in
      let dead = Family.allCases.filter { item[$0].isDead }
      let isWhole = Family.allCases.allSatisfy { item[$0].rules == 0 || item[$0].isDead }
      guard let family = dead.first, isWhole || item[family].shadows.contains(where: \.shadow.isOverruled) else {
        return nil
      }
      return finding(
        (isWhole ? dead : [family]).flatMap { item[$0].shadows }, at: place, family, only: isWhole ? nil : family,
        subject)
    }
  }

  private static func finding(
    _ shadows: [Shadowed], at place: SourceLocation, _ family: Family, only: Family?, _ subject: LintSubject
  ) -> LintFinding? {
    guard let first = shadows.first, let chain = subject.rules[family][table: first.table]?[chain: first.shadow.chain]
    else { return nil }
    let rule: LintRule =
      shadows.allSatisfy { $0.shadow.kind == .duplicate }
      ? .duplicateRule
      : shadows.allSatisfy { $0.shadow.kind == .behindCatchAll } ? .acceptAfterCatchAll : .shadowedRule
    let name = SafeText.escape(chain.name)
    let over = only.map { " over \($0.words)" } ?? ""
    let isImplied = subject.facts.impliedAnswers.contains(first.earlier)
    let (message, hint) =
      switch rule {
      case _ where isImplied:
        (
          "this rule can never match\(over): \(name) accepts answers by itself before it",
          "delete it; answers are judged where an item says so with `established: explicit`"
        )
      case .duplicateRule:
        ("the same rule of \(name) stands at \(first.earlier) already\(over)", "delete one of the two")
      case .acceptAfterCatchAll:
        (
          "this accept can never match\(over): the rule of \(name) at \(first.earlier) drops everything before it",
          "move it before that rule"
        )
      default:
        (
          "this rule can never match\(over): the rule of \(name) at \(first.earlier) takes all its packets",
          "delete it, or move it before that rule"
        )
      }
    let view = chain.rules[first.shadow.rule]
    return LintFinding(
      rule, at: place, message, hint: hint, related: first.earlier, subject: "\(chain.name) \(view.shape)")
  }
}
