internal import Core

/// Scalars that every YAML reader, of 1.1 or 1.2, reads as the text they are.
enum YAMLText {
  /// Words that are something else than text, in some reader.
  private static let reserved: Set<String> = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
  ]

  /// Plain when nobody could misread it, else in double quotes.
  static func scalar(_ text: String) -> String {
    isPlain(text) ? text : quoted(text)
  }

  /// In double quotes, whatever it is.
  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for character in text.unicodeScalars {
      switch character {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where character.value < 0x20 || character.value == 0x7f:
        quoted += "\\x" + Hex.encode([UInt8(character.value)])
      case _ where SafeText.escape(String(character)).unicodeScalars.first != character:
        let digits = String(character.value, radix: 16)
        quoted += "\\U" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
      default: quoted.unicodeScalars.append(character)
      }
    }
    return quoted + "\""
  }

  private static func isPlain(_ text: String) -> Bool {
    guard let first = text.utf8.first, !reserved.contains(text.lowercased()) else { return false }
    if isIPv4(text) { return true }
    guard isLetter(first) else { return false }
    return text.utf8.allSatisfy {
      isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "+")
    }
  }

  /// Three dots: no number has as many.
  private static func isIPv4(_ text: String) -> Bool {
    text.utf8.count { $0 == UInt8(ascii: ".") } == 3 && text.utf8.last != UInt8(ascii: ".")
      && text.utf8.first.map(isDigit) ?? false
      && text.utf8.allSatisfy { isDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/") }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// `{ a: b, c: d }`
  static func mapping(_ members: [(key: String, value: String)]) -> String {
    members.isEmpty ? "{}" : "{ " + members.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + " }"
  }

  /// `[a, b]`
  static func list(_ values: [String]) -> String { "[" + values.joined(separator: ", ") + "]" }
}
