internal import Core

/// What changes between two rulesets, for people: rules, policies, chains and tables, never counters or dates.
///
/// It is empty exactly when the two have the same digest. With all context, the lines are the canonical form of both:
/// those that are not added make the old one, those that are not removed the new one.
package struct RulesetDiff: Hashable, Sendable {
  package let lines: [DiffLine]
  /// Rules, chains with their policies, and tables.
  package let added: Int
  package let removed: Int

  init(lines: [DiffLine], added: Int, removed: Int) {
    self.lines = lines
    self.added = added
    self.removed = removed
  }

  /// Lines that were worked out before, all of them of rules, chains and tables.
  package init(lines: [DiffLine]) {
    self.init(lines: lines, added: lines.count { $0.kind == .added }, removed: lines.count { $0.kind == .removed })
  }

  package var isEmpty: Bool { added == 0 && removed == 0 }

  /// - Parameter context: how many unchanged rules to show on each side of a change.
  package static func unified(from: Ruleset, to: Ruleset, context: Int = 3) -> RulesetDiff {
    var builder = DiffBuilder(context: max(0, context))
    builder.compare(from.ordered(), to.ordered())
    return RulesetDiff(lines: builder.lines)
  }

  /// As `diff -u` marks lines: `+`, `-`, a space; headers and gaps have no mark.
  package var text: String { lines.map { $0.marked + "\n" }.joined() }
}

package struct DiffLine: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// An unchanged table (`*filter`) or chain (`:INPUT DROP`) in which something changes.
    case header
    /// Unchanged rules that are not shown.
    case gap
    /// An unchanged rule.
    case context
    case added
    case removed
  }

  package let kind: Kind
  package let table: String
  /// Nil for a line about the table itself, and for what is no rule: settings, and members of sets.
  package let chain: String?
  /// `*filter`, `:INPUT DROP`, or `-A INPUT …`, safe for a terminal.
  package let text: String
  /// Of an added rule, its line in the new text; 0 for everything else.
  package let newLine: Int
  /// Of an added rule in the new chain, of a removed one in the old; nil for everything else.
  package let position: Position?

  package struct Position: Hashable, Sendable {
    /// Counted from 0.
    package let index: Int
    /// Rules of the chain.
    package let count: Int

    package init(index: Int, count: Int) {
      self.index = index
      self.count = count
    }
  }

  package init(kind: Kind, table: String, chain: String?, text: String, newLine: Int, position: Position?) {
    self.kind = kind
    self.table = table
    self.chain = chain
    self.text = text
    self.newLine = newLine
    self.position = position
  }

  package var isChange: Bool { kind == .added || kind == .removed }

  package var marked: String {
    switch kind {
    case .header, .gap: text
    case .context: " " + text
    case .added: "+" + text
    case .removed: "-" + text
    }
  }
}

private struct DiffBuilder {
  let context: Int
  var lines: [DiffLine] = []

  init(context: Int) { self.context = context }

  private mutating func add(_ kind: DiffLine.Kind, _ table: String, _ chain: String?, _ text: String) {
    lines.append(DiffLine(kind: kind, table: table, chain: chain, text: text, newLine: 0, position: nil))
  }

  /// - Parameter range: which of the chain's rules.
  private mutating func add(_ kind: DiffLine.Kind, _ table: String, _ chain: RuleChain, _ range: Range<Int>) {
    for index in range {
      let rule = chain.rules[index]
      lines.append(
        DiffLine(
          kind: kind, table: table, chain: chain.name, text: SafeText.escape(rule.bytes),
          newLine: kind == .added ? rule.line : 0,
          position: kind == .context ? nil : DiffLine.Position(index: index, count: chain.rules.count)))
    }
  }

  mutating func compare(_ from: Ruleset, _ to: Ruleset) {
    for (name, old, new) in matched(from.tables, to.tables, by: \.name) {
      switch (old, new) {
      case (let old?, let new?):
        guard old != new else { continue }
        add(.header, name, nil, "*\(name)")
        compare(old, new)
      case (let old?, nil): whole(.removed, old)
      case (nil, let new?): whole(.added, new)
      case (nil, nil): break
      }
    }
  }

  private mutating func whole(_ kind: DiffLine.Kind, _ table: RuleTable) {
    add(kind, table.name, nil, "*\(table.name)")
    for chain in table.chains { whole(kind, table.name, chain) }
  }

  private mutating func whole(_ kind: DiffLine.Kind, _ table: String, _ chain: RuleChain) {
    add(kind, table, chain.name, chain.header)
    add(kind, table, chain, chain.rules.indices)
  }

  private mutating func compare(_ from: RuleTable, _ to: RuleTable) {
    for (_, old, new) in matched(from.chains, to.chains, by: \.name) {
      switch (old, new) {
      case (let old?, let new?):
        if old.policy != new.policy {
          add(.removed, from.name, old.name, old.header)
          add(.added, from.name, new.name, new.header)
        } else if old.rules != new.rules || context == .max {
          add(.header, from.name, new.name, new.header)
        }
        if old.rules != new.rules || context == .max { compare(old, new, table: from.name) }
      case (let old?, nil): whole(.removed, from.name, old)
      case (nil, let new?): whole(.added, from.name, new)
      case (nil, nil): break
      }
    }
  }

  private mutating func compare(_ from: RuleChain, _ to: RuleChain, table: String) {
    let common = CommonRules(from: from.rules, to: to.rules)
    var old = 0
    var new = 0
    var isFirst = true
    while old < from.rules.count || new < to.rules.count {
      let unchanged = old
      while old < from.rules.count, new < to.rules.count, common.keptFrom[old], common.keptTo[new] {
        old += 1
        new += 1
      }
      let isLast = old == from.rules.count && new == to.rules.count
      unchangedRules(unchanged..<old, table, from, isFirst: isFirst, isLast: isLast)
      isFirst = false
      let removed = old
      while old < from.rules.count, !common.keptFrom[old] { old += 1 }
      add(.removed, table, from, removed..<old)
      let added = new
      while new < to.rules.count, !common.keptTo[new] { new += 1 }
      add(.added, table, to, added..<new)
    }
  }

  /// Shows the ends of a run of unchanged rules that touch a change.
  private mutating func unchangedRules(
    _ rules: Range<Int>, _ table: String, _ chain: RuleChain, isFirst: Bool, isLast: Bool
  ) {
    let head = isFirst && context != .max ? 0 : min(context, rules.count)
    let tail = isLast && context != .max ? 0 : min(context, rules.count)
    // Hiding one rule would take as much room as showing it.
    guard rules.count - head > tail, rules.count - head - tail > 1 else {
      return add(.context, table, chain, rules)
    }
    add(.context, table, chain, rules.prefix(head))
    add(.gap, table, chain.name, "… \(rules.count - head - tail) unchanged rules …")
    add(.context, table, chain, rules.suffix(tail))
  }
}

extension RuleChain {
  /// `:CHAIN POLICY`
  fileprivate var header: String { ":\(name) \(policy ?? "-")" }
}

/// Pairs up what has the same name in two lists that are both ordered by name.
private func matched<Element>(
  _ a: [Element], _ b: [Element], by name: KeyPath<Element, String>
) -> [(String, Element?, Element?)] {
  var pairs: [(String, Element?, Element?)] = []
  var (i, j) = (0, 0)
  while i < a.count || j < b.count {
    let left = i < a.count ? a[i][keyPath: name] : nil
    let right = j < b.count ? b[j][keyPath: name] : nil
    if let left, right.map({ bytewise(left, $0) }) ?? true {
      pairs.append((left, a[i], nil))
      i += 1
    } else if let right, left.map({ bytewise(right, $0) }) ?? true {
      pairs.append((right, nil, b[j]))
      j += 1
    } else if let left {
      pairs.append((left, a[i], b[j]))
      i += 1
      j += 1
    }
  }
  return pairs
}
