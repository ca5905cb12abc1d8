package import Core
internal import Ruleset

/// What differs on one host, line by line, so that the next difference tells which lines came and which went in between.
package struct DifferingLines: Hashable, Sendable {
  package struct Move: Hashable, Sendable {
    package let family: Family
    /// It is among the running rules now; otherwise it is not any more.
    package let isAdded: Bool
    /// With its mark, safe to print.
    package let text: String
  }

  private struct Line: Hashable {
    let family: Family
    let table: String
    let isAdded: Bool
    /// Without the mark.
    let text: String
  }

  /// Rules, in their order.
  private var lines: [Line] = []
  /// What differs beside the rules, in words.
  private var beside: [BesideWords.Place: [String]] = [:]

  package init() {}

  /// - Parameter drift: nil when nothing differs.
  package init(_ drift: HostDrift?) {
    guard case .differs(let diffs)? = drift?.finding else { return }
    for family in Family.allCases {
      for line in diffs[family].lines where line.isChange && BesideTable(rawValue: line.table) == nil {
        lines.append(
          Line(
            family: family, table: line.table, isAdded: line.kind == .added, text: String(line.shown.dropFirst())))
      }
    }
    beside = Dictionary(BesideWords.byPlace(diffs).map { ($0.place, $0.words) }) { $0 + $1 }
  }

  package func moves(to later: DifferingLines) -> [Move] {
    let gone = Self.subtract(later.lines, from: lines).map { move($0, isAdded: !$0.isAdded) }
    let new = Self.subtract(lines, from: later.lines).map { move($0, isAdded: $0.isAdded) }
    // A line that left one place for another counts as both.
    return gone + new
  }

  /// What changed beside the rules, one sentence each, safe to print.
  package func besideMoves(to later: DifferingLines) -> [String] {
    Set(beside.keys).union(later.beside.keys).filter { beside[$0] != later.beside[$0] }
      .sorted { ($0.table.rawValue, $0.name) < ($1.table.rawValue, $1.name) }
      .flatMap { later.beside[$0] ?? ["\($0.words) is as it should be again"] }
  }

  private func move(_ line: Line, isAdded: Bool) -> Move {
    Move(family: line.family, isAdded: isAdded, text: (isAdded ? "+" : "-") + line.text)
  }

  /// What is left of `lines`, each of `known` taken off once.
  private static func subtract(_ known: [Line], from lines: [Line]) -> [Line] {
    var counts = Dictionary(known.map { ($0, 1) }, uniquingKeysWith: +)
    return lines.filter { line in
      guard let count = counts[line], count > 0 else { return true }
      counts[line] = count - 1
      return false
    }
  }
}
