/// Text from a file, a host or a signature, made safe for a terminal: nothing in it can move the cursor, change the
/// title, hide or reorder what stands beside it.
package enum SafeText {
  /// Control characters, bidirectional overrides and zero-width characters become `\u{…}`; bytes that are not UTF-8
  /// become U+FFFD. Line feeds are escaped too: callers split lines first.
  package static func escape(_ text: some StringProtocol) -> String {
    guard text.unicodeScalars.contains(where: isUnsafe) else { return String(text) }
    var safe = ""
    for scalar in text.unicodeScalars {
      if isUnsafe(scalar) {
        safe += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }

  package static func escape(_ bytes: some Collection<UInt8>) -> String {
    escape(String(decoding: bytes, as: UTF8.self))
  }

  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f..<0xa0: true  // C0, DEL, C1
    case 0xad, 0x61c, 0x180e: true  // soft hyphen, Arabic letter mark, Mongolian vowel separator
    case 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f: true  // zero width, separators, bidirectional controls
    case 0xfeff, 0xfff9...0xfffb, 0xe0000...0xe007f: true  // byte order mark, annotations, tags
    default: false
    }
  }
}
