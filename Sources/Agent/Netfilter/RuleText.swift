/// A rule as iptables-save prints it, in words: `"` begins and ends a word that may hold spaces, `\` takes the next
/// byte as it is.
enum RuleText {
  static func words(_ line: some Collection<UInt8>) -> [String] {
    var words: [[UInt8]] = []
    var word: [UInt8]?
    var quoted = false
    var escaped = false
    for byte in line {
      if escaped {
        word = (word ?? []) + [byte]
        escaped = false
      } else if byte == UInt8(ascii: "\\") {
        escaped = true
      } else if byte == UInt8(ascii: "\"") {
        quoted.toggle()
        word = word ?? []
      } else if byte == UInt8(ascii: " "), !quoted {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? []) + [byte]
      }
    }
    if let word { words.append(word) }
    return words.map { String(decoding: $0, as: UTF8.self) }
  }
}
