internal import Core

/// A word of a rule as iptables-restore reads it.
package struct RuleWord: Hashable, Sendable {
  /// Where the word stands in the rule's text, with its quotes.
  package let range: Range<Int>
  /// What it says, without quotes and escapes. A view into the rule where that is possible: a ruleset has a million words.
  package let value: ArraySlice<UInt8>
  package let isQuoted: Bool

  package init(range: Range<Int>, value: ArraySlice<UInt8>, isQuoted: Bool) {
    self.range = range
    self.value = value
    self.isQuoted = isQuoted
  }

  package func says(_ text: String) -> Bool { value.elementsEqual(text.utf8) }
  package var text: String { String(decoding: value, as: UTF8.self) }
}

/// Quotes where iptables-restore and iptables-save would not agree on where a word ends.
package struct RuleWordProblem: Error, Hashable, Sendable {
  /// Offset in the rule's text.
  package let offset: Int
  package let message: String
  package let hint: String?
}

extension Rule {
  /// The rule's words from `-A` on. A quoted word begins and ends at a space; inside quotes a backslash makes the next
  /// byte plain.
  package func words() throws(RuleWordProblem) -> [RuleWord] {
    var words: [RuleWord] = []
    words.reserveCapacity(16)
    let origin = bytes.startIndex
    var index = bytes.startIndex
    while index < bytes.endIndex {
      guard bytes[index] != space else {
        index += 1
        continue
      }
      let start = index
      let value: ArraySlice<UInt8>
      if bytes[start] == quote {
        var unescaped: [UInt8] = []
        index += 1
        var isOpen = true
        while isOpen, index < bytes.endIndex {
          switch bytes[index] {
          case quote: isOpen = false
          case UInt8(ascii: "\\") where index + 1 < bytes.endIndex:
            index += 1
            unescaped.append(bytes[index])
          case let byte: unescaped.append(byte)
          }
          index += 1
        }
        guard !isOpen else {
          throw RuleWordProblem(
            offset: start - origin, message: "the quotes opened here do not close",
            hint: "a quote inside quotes is written \\\"")
        }
        guard index == bytes.endIndex || bytes[index] == space else {
          throw RuleWordProblem(
            offset: index - origin, message: "after closing quotes there must be a space",
            hint: "iptables-restore would read two words here")
        }
        value = unescaped[...]
      } else {
        while index < bytes.endIndex, bytes[index] != space {
          guard bytes[index] != quote else {
            throw RuleWordProblem(
              offset: index - origin, message: "quotes in the middle of a word",
              hint: "put the whole word in quotes, and write a quote inside it as \\\"")
          }
          index += 1
        }
        value = bytes[start..<index]
      }
      words.append(RuleWord(range: start - origin..<index - origin, value: value, isQuoted: bytes[start] == quote))
    }
    return words
  }

  /// The rule with other text in place of these bytes (offsets in the rule's text), as one makes several rules of one
  /// for several addresses.
  package func replacing(_ range: Range<Int>, with replacement: String) -> Rule {
    var text = self.text
    text.replaceSubrange(range, with: replacement.utf8)
    return Rule(text: text, line: line)
  }
}

extension RuleWord {
  /// Short enough for a message.
  var shown: String {
    SafeText.escape(value.prefix(60)) + (value.count > 60 ? "…" : "")
  }
}

let quote = UInt8(ascii: "\"")
