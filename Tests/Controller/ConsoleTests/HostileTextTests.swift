import Console
import Core
import Foundation
import Testing

private struct Said: Document {
  static let kind = "Said"
  let detail: String
  func text(_ style: TextStyle) -> String { SafeText.escape(detail) + "\n" }
  var names: [String] { [] }
  var records: [any Encodable] { [self] }
}

struct HostileTextTests {
  /// What a host may say: it clears the screen, sets the title, turns text around, hides it.
  static let hostile = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}", "\u{9b}31m", "\u{9d}0;owned\u{9c}", "a\u{202e}b", "a\u{200b}\u{feff}b", "\u{7f}",
    "\u{e0041}", "\r\n\0", "\u{2028}", "plain – ü 漢 🙂",
  ]

  @Test(arguments: hostile, [OutputFormat.json, .ndjson, .text])
  func `no output holds what a terminal would obey`(text: String, format: OutputFormat) throws {
    let output = try DocumentPrinter.render(Said(detail: text), as: format, colour: false)
    for line in output.split(separator: "\n") { #expect(SafeText.escape(line) == String(line)) }
  }

  @Test(arguments: hostile)
  func `JSON still says exactly what the host said`(text: String) throws {
    let output = try DocumentPrinter.render(Said(detail: text), as: .json, colour: false)
    let read = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
    #expect((read?["detail"] as? String)?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
  }
}
