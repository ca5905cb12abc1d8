extension Ruleset {
  /// A save text in which no rule goes over the end of its line any more: line feeds between quotes become DEL.
  ///
  /// Whoever may load rules may put a line feed into a comment, and the save programs print it raw. They escape quotes
  /// between quotes, so where such a comment ends is certain. A rule with a DEL is still told from all others, and
  /// fed back it is one rule; but it is not the kernel's, so that it can neither be deleted nor moved
  /// (`Rule.canBeFedBack`).
  ///
  /// Nil when nothing has to be joined, or when that would not help: quotes that never close.
  package static func joiningBrokenLines(of save: [UInt8]) -> [UInt8]? {
    var joined = save
    var breaks = 0
    var isRule = false
    var isOpen = false
    var isLineStart = true
    var index = 0
    while index < joined.count {
      let byte = joined[index]
      if isLineStart {
        isRule = byte == UInt8(ascii: "-") || byte == UInt8(ascii: "[")
        isLineStart = false
      }
      if byte == newline {
        if isOpen {
          joined[index] = 0x7f
          breaks += 1
        } else {
          isLineStart = true
        }
      } else if isRule, byte == quote {
        isOpen.toggle()
      } else if isOpen, byte == UInt8(ascii: "\\") {
        // What a backslash makes plain may be a line feed too.
        if index + 1 < joined.count, joined[index + 1] == newline {
          joined[index + 1] = 0x7f
          breaks += 1
        }
        index += 1
      }
      index += 1
    }
    return breaks > 0 && !isOpen ? joined : nil
  }
}
