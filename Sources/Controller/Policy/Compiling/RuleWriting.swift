internal import Core

/// Pieces of rule text, as iptables-save prints them.
enum RuleWriting {
  /// One word in double quotes means the same to every version of the programs: no quotes and backslashes inside. One
  /// that begins with a dash is printed without quotes, and then read as an option.
  static func isPlain(_ text: String) -> Bool {
    text.first != "-"
      && text.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
  }

  /// In quotes where iptables-save writes them: around all but letters, digits and a few marks.
  static func quoted(_ text: String) -> String {
    text.isBareRuleWord && !text.isEmpty ? text : "\"\(text.replacing("'", with: "\\'"))\""
  }
}

extension String {
  /// Whether iptables-save prints it without quotes.
  package var isBareRuleWord: Bool {
    utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }
}
