internal import Core

/// Columns as kubectl prints them: upper-case headers, no borders, two spaces between, nothing after the last word.
package struct TextTable {
  private let headers: [String]
  private var rows: [[String]] = []

  package init(_ headers: [String]) { self.headers = headers }

  /// Cells are made safe for a terminal here, whatever they hold.
  package mutating func add(_ cells: [String]) { rows.append(cells.map { SafeText.escape($0) }) }

  /// Of each column.
  package var widths: [Int] {
    headers.indices.map { column in ([headers] + rows).map { $0[column].count }.max() ?? 0 }
  }

  /// - Parameter others: of tables that stand below each other, and are to be read as one.
  package func text(aligned others: [[Int]] = []) -> String {
    let all = [headers] + rows
    let widths = others.reduce(widths) { zip($0, $1).map { max($0, $1) } }
    return
      all
      .map { row in
        var line = ""
        for (column, cell) in row.enumerated() {
          line += cell
          if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
        }
        while line.last == " " { line.removeLast() }
        return line + "\n"
      }
      .joined()
  }
}
