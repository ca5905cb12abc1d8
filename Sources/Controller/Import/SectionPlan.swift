internal import Core
internal import Lint
internal import Policy
internal import Ruleset

/// What one or more rules of a chain are said as.
enum Said: Hashable {
  case typed(TypedRule)
  /// The last of the rules, and all their targets.
  case balance(TypedRule, Balance)
  /// Traffic that has a name, which is other rules in each family.
  case word(verb: String, String)
  case raw(String)

  /// The family it can only be in; nil for either.
  var family: Family? {
    switch self {
    case .typed(let rule), .balance(let rule, _): rule.family
    case .word, .raw: nil
    }
  }
}

/// How the rules of one built-in chain are said: item by item in their order, raw where the language has no word for one.
struct SectionPlan {
  /// What is said, and the family when it is only in one.
  struct Item: Hashable {
    let said: Said
    let only: Family?
  }

  private(set) var items: [Item] = []
  private(set) var rawRules = 0

  /// - Parameter families: those that items go into.
  /// - Parameter isTyped: false makes every rule raw.
  init(_ rules: PerFamily<[Rule]>, table: String, chain: String, families: [Family], isTyped: Bool) {
    let readers = PerFamily { family in
      ChainReading(rules[family], table: table, chain: chain, family, isTyped: isTyped)
    }
    for item in Self.merge(readers.map { $1.said }, families) {
      if let only = item.only, case .word(let verb, let name) = item.said, families.count == 2,
        !readers[only == .ipv4 ? .ipv6 : .ipv4].isNothing(verb, name)
      {
        // The word would say something in the other family too.
        items += readers[only].spelledOut(verb, name).map { Item(said: $0, only: only) }
      } else {
        items.append(item)
      }
    }
    for item in items {
      guard case .raw = item.said else { continue }
      rawRules += item.only == nil ? families.count : 1
    }
  }

  // MARK: Both families in one list

  /// A larger table of two lists is not worth its memory: then nothing is common.
  private static let maximumCells = 1_000_000

  /// One list in which each family finds its rules in their order; what both have in the same order stands there once.
  private static func merge(_ said: PerFamily<[Said]>, _ families: [Family]) -> [Item] {
    guard families.count == 2 else {
      return families.flatMap { family in
        said[family].map { said in
          // Text is of the family it was read from, also where the other one is closed.
          if case .raw = said { Item(said: said, only: family) } else { Item(said: said, only: nil) }
        }
      }
    }
    let (a, b) = (said.ipv4, said.ipv6)
    guard a.count * b.count <= maximumCells else {
      return a.map { Item(said: $0, only: .ipv4) } + b.map { Item(said: $0, only: .ipv6) }
    }
    // How many rules the rests of the two lists have in common.
    var common = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
    for i in a.indices.reversed() {
      for j in b.indices.reversed() {
        common[i][j] =
          a[i] == b[j] && a[i].family == nil ? common[i + 1][j + 1] + 1 : max(common[i + 1][j], common[i][j + 1])
      }
    }
    var items: [Item] = []
    var (i, j) = (0, 0)
    while i < a.count || j < b.count {
      if i < a.count, j < b.count, a[i] == b[j], a[i].family == nil {
        items.append(Item(said: a[i], only: nil))
        i += 1
        j += 1
      } else if i < a.count, j == b.count || common[i + 1][j] >= common[i][j + 1] {
        items.append(Item(said: a[i], only: .ipv4))
        i += 1
      } else {
        items.append(Item(said: b[j], only: .ipv6))
        j += 1
      }
    }
    return items
  }
}
