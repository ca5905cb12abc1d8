/// Text for a terminal of 80 columns, which consoles have.
enum HelpText {
  private static let width = 80

  /// Lines of words, each ended.
  static func paragraph(_ text: String) -> String {
    lines(text, width: width).map { $0 + "\n" }.joined()
  }

  /// Names on the left, what they mean beside them.
  static func table(_ rows: [(name: String, meaning: String)]) -> String {
    let column = 4 + (rows.map(\.name.utf8.count).max() ?? 0)
    return rows.map { row in
      let meaning = lines(row.meaning, width: width - column)
      let gap = String(repeating: " ", count: column - 2 - row.name.utf8.count)
      let below = "\n" + String(repeating: " ", count: column)
      return "  \(row.name)\(gap)\(meaning.joined(separator: below))\n"
    }.joined()
  }

  private static func lines(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.utf8.split(separator: UInt8(ascii: " ")).compactMap({ String($0) }) {
      if !line.isEmpty, line.utf8.count + 1 + word.utf8.count > width {
        lines.append(line)
        line = word
      } else {
        line += (line.isEmpty ? "" : " ") + word
      }
    }
    return line.isEmpty ? lines : lines + [line]
  }
}
