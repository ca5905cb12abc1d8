internal import Core

/// Reads the one spelling that the release formats have: lines of `key value`, one space, printable ASCII, each ended
/// by one line feed. Every value has exactly one way to be written, so bytes that parse are the bytes that would be
/// written, and a digest names a value.
struct StrictLines {
  private let file: String
  private let lines: [ArraySlice<UInt8>]
  private var index = 0

  /// Throws for anything but whole lines of printable ASCII within `limit` bytes.
  init(_ bytes: [UInt8], file: String, atMost limit: Int) throws(FormatProblem) {
    self.file = file
    guard bytes.count <= limit else {
      throw FormatProblem(file, "\(bytes.count) bytes, more than the \(limit) allowed")
    }
    var lines: [ArraySlice<UInt8>] = []
    var start = 0
    for (position, byte) in bytes.enumerated() {
      switch byte {
      case UInt8(ascii: "\n"):
        lines.append(bytes[start..<position])
        start = position + 1
      case 0x20...0x7e: break
      default:
        let shown = "0x" + Hex.encode([byte])
        throw FormatProblem(
          file, line: lines.count + 1, "byte \(shown) in column \(position - start + 1) is not printable ASCII")
      }
    }
    guard start == bytes.count else {
      throw FormatProblem(file, line: lines.count + 1, "the line does not end with a line feed")
    }
    self.lines = lines
  }

  /// The line last read, counted from 1.
  var line: Int { index }

  /// The value of the next line, which must have this key.
  mutating func value(of key: String) throws(FormatProblem) -> String {
    guard let value = optionalValue(of: key) else {
      guard index < lines.count else {
        throw FormatProblem(file, line: index + 1, "the text ends where a '\(key)' line must stand")
      }
      throw FormatProblem(
        file, line: index + 1,
        "a '\(key) …' line must stand here, not '\(String(decoding: lines[index], as: UTF8.self))'")
    }
    return value
  }

  /// The value of the next line if that line has this key.
  mutating func optionalValue(of key: String) -> String? {
    guard index < lines.count else { return nil }
    let line = lines[index]
    let prefix = Array((key + " ").utf8)
    guard line.starts(with: prefix), line.count > prefix.count else { return nil }
    index += 1
    return String(decoding: line.dropFirst(prefix.count), as: UTF8.self)
  }

  /// The values of the next lines that have this key: sorted by bytes, each once.
  mutating func sortedValues(of key: String) throws(FormatProblem) -> [String] {
    var values: [String] = []
    while let value = optionalValue(of: key) {
      if let last = values.last, !last.utf8.lexicographicallyPrecedes(value.utf8) {
        throw problem(last == value ? "\(key) '\(value)' stands twice" : "\(key) '\(value)' is out of order")
      }
      values.append(value)
    }
    return values
  }

  /// The next line whole, or nil at the end.
  mutating func whole() -> String? {
    guard index < lines.count else { return nil }
    index += 1
    return String(decoding: lines[index - 1], as: UTF8.self)
  }

  /// The first line: the format's name and version. A later version is named as such.
  mutating func header(_ name: String) throws(FormatProblem) {
    let version = try value(of: name)
    guard version == "1" else { throw problem("format version '\(version)' is not known here; this program reads 1") }
  }

  func end() throws(FormatProblem) {
    guard index == lines.count else {
      throw FormatProblem(
        file, line: index + 1, "unexpected line '\(String(decoding: lines[index], as: UTF8.self))'")
    }
  }

  /// A problem with the line last read.
  func problem(_ reason: String) -> FormatProblem { FormatProblem(file, line: index, reason) }

  mutating func unsigned(_ key: String) throws(FormatProblem) -> UInt64 {
    let text = try value(of: key)
    guard let value = CanonicalNumber.parse(text) else { throw problem("\(key) '\(text)' is not a canonical number") }
    return value
  }

  /// A number of things: what fits an `Int`.
  mutating func count(_ key: String) throws(FormatProblem) -> Int {
    let value = try unsigned(key)
    guard let count = Int(exactly: value) else { throw problem("\(key) \(value) is too large") }
    return count
  }

  mutating func time(_ key: String) throws(FormatProblem) -> UTCTime {
    let text = try value(of: key)
    guard let value = UTCTime(text) else {
      throw problem("\(key) '\(text)' is not a time like 2026-11-21T00:44:41Z")
    }
    return value
  }

  mutating func digest(_ key: String) throws(FormatProblem) -> Digest {
    let text = try value(of: key)
    guard let value = Digest(text) else { throw problem("\(key) '\(text)' is not sha256: and 64 hexadecimal digits") }
    return value
  }

  mutating func fleet() throws(FormatProblem) -> FleetID {
    let text = try value(of: "fleet")
    guard let value = FleetID(text) else { throw problem("'\(text)' is not a fleet's name") }
    return value
  }
}

/// Decimal without sign, leading zeros or anything else.
enum CanonicalNumber {
  static func parse(_ text: some StringProtocol) -> UInt64? {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard text.utf8.allSatisfy(digits.contains), text == "0" || text.utf8.first != UInt8(ascii: "0") else { return nil }
    return UInt64(text)
  }
}
