internal import Core
internal import Lint
internal import Ruleset

/// How the rules of one built-in chain are said: typed from the top as far as the language goes, then raw, and typed
/// again where what is left only logs and refuses. The compiler puts raw rules between the two.
struct SectionPlan {
  /// A rule, and the family when it is only in one.
  struct Item: Hashable {
    let rule: TypedRule
    let only: Family?
  }

  private(set) var first: [Item] = []
  private(set) var last: [Item] = []
  private(set) var raw = PerFamily<[Rule]>(ipv4: [], ipv6: [])

  var isEmpty: Bool { first.isEmpty && last.isEmpty && raw.ipv4.isEmpty && raw.ipv6.isEmpty }

  /// Everything raw.
  init(raw rules: PerFamily<[Rule]>) { raw = rules }

  /// - Parameter hasLast: the section has a part behind the raw rules.
  /// - Parameter families: those that typed rules go into.
  init(_ rules: PerFamily<[Rule]>, table: String, chain: String, hasLast: Bool, families: [Family]) {
    let parts = PerFamily { family in
      Parts(rules[family].map { TypedRule($0, table: table, chain: chain, family) }, hasLast: hasLast)
    }
    first = Self.merge(parts.map { $1.first }, families)
    last = Self.merge(parts.map { $1.last }, families)
    raw = parts.map { family, parts in Array(rules[family][parts.raw]) }
  }

  private struct Parts {
    let first: [TypedRule]
    let raw: Range<Int>
    let last: [TypedRule]

    init(_ typed: [TypedRule?], hasLast: Bool) {
      let start = typed.firstIndex(of: nil) ?? typed.count
      var end = typed.count
      if hasLast {
        while end > start, let rule = typed[end - 1], rule.isClosing { end -= 1 }
      }
      first = typed[..<start].compactMap { $0 }
      raw = start..<end
      last = typed[end...].compactMap { $0 }
    }
  }

  // MARK: Both families in one list

  /// A larger table of two lists is not worth its memory: then nothing is common.
  private static let maximumCells = 1_000_000

  /// One list in which each family finds its rules in their order; what both have in the same order stands there once.
  private static func merge(_ rules: PerFamily<[TypedRule]>, _ families: [Family]) -> [Item] {
    guard families.count == 2 else {
      return families.flatMap { family in rules[family].map { Item(rule: $0, only: nil) } }
    }
    let (a, b) = (rules.ipv4, rules.ipv6)
    guard a.count * b.count <= maximumCells else {
      return a.map { Item(rule: $0, only: .ipv4) } + b.map { Item(rule: $0, only: .ipv6) }
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
        items.append(Item(rule: a[i], only: nil))
        i += 1
        j += 1
      } else if i < a.count, j == b.count || common[i + 1][j] >= common[i][j + 1] {
        items.append(Item(rule: a[i], only: .ipv4))
        i += 1
      } else {
        items.append(Item(rule: b[j], only: .ipv6))
        j += 1
      }
    }
    return items
  }
}
