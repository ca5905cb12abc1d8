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

  /// In their order.
  private var lines: [Line] = []

  package init() {}

  /// - Parameter drift: nil when nothing differs.
  package init(_ drift: HostDrift?) {
    guard case .differs(let diffs)? = drift?.finding else { return }
    for family in Family.allCases {
      for line in diffs[family].lines where line.kind == .added || line.kind == .removed {
        lines.append(
          Line(
            family: family, table: line.table, isAdded: line.kind == .added, text: String(line.shown.dropFirst())))
      }
    }
  }

  package func moves(to later: DifferingLines) -> [Move] {
    let gone = Self.subtract(later.lines, from: lines).map { move($0, isAdded: !$0.isAdded) }
    let new = Self.subtract(lines, from: later.lines).map { move($0, isAdded: $0.isAdded) }
    // A line that left one place for another counts as both.
    return gone + new
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
