/// Numbers as Python reads and writes them.
enum PythonNumber {
  /// As `json.dumps` writes it.
  static func repr(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    return value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
  }

  /// Of a text that Swift and Python read alike: digits, one point, an exponent.
  static func real(_ text: String) -> InventoryValue? {
    let unsigned = text.hasPrefix("+") ? String(text.dropFirst()) : text
    // Swift wants a digit on both sides of the point.
    var digits = unsigned.replacing(".e", with: ".0e").replacing(".E", with: ".0E")
    if digits.hasSuffix(".") { digits += "0" }
    if digits.hasPrefix(".") { digits = "0" + digits }
    if digits.hasPrefix("-.") { digits = "-0" + digits.dropFirst() }
    return Double(digits).map { .real(repr($0)) }
  }

  /// A number as Python reads it in a program: `0x1F`, `1_000`, `1.5e-7`; nil for `0644` and `1__0`.
  static func literal(_ text: [UInt8], isNegative: Bool) -> InventoryValue? {
    let sign = isNegative ? "-" : ""
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where text.count > 2 && text[0] == UInt8(ascii: "0") {
      guard text[1] | 0x20 == Array(prefix.utf8)[1] else { continue }
      // `0x_1` is right, `0x1_` is not.
      let digits = text[2] == UInt8(ascii: "_") ? text[3...] : text[2...]
      guard let plain = joined(digits, where: { (PlainScalar.hexValue($0) ?? 99) < radix }) else { return nil }
      return Int(sign + plain, radix: radix).map { .integer($0) }
    }
    if text.allSatisfy({ PlainScalar.isDigit($0) || $0 == UInt8(ascii: "_") }) {
      guard let plain = joined(text[...], where: PlainScalar.isDigit), plain.utf8.count <= 4300 else { return nil }
      guard plain.utf8.first != UInt8(ascii: "0") || plain.allSatisfy({ $0 == "0" }) else { return nil }
      return Int(sign + plain).map { .integer($0) } ?? .real(sign + plain)
    }
    var mantissa = text[...]
    var exponent = ""
    if let mark = text.firstIndex(where: { $0 | 0x20 == UInt8(ascii: "e") }) {
      mantissa = text[..<mark]
      var digits = text[(mark + 1)...]
      exponent = "e"
      if let sign = digits.first, "+-".utf8.contains(sign) {
        exponent += String(decoding: [sign], as: UTF8.self)
        digits = digits.dropFirst()
      }
      guard let plain = joined(digits, where: PlainScalar.isDigit) else { return nil }
      exponent += plain
    }
    let parts = mantissa.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.contains(where: { !$0.isEmpty }) else { return nil }
    var digits: [String] = []
    for part in parts {
      guard part.isEmpty || joined(part, where: PlainScalar.isDigit) != nil else { return nil }
      digits.append(joined(part, where: PlainScalar.isDigit) ?? "0")
    }
    return Double(sign + digits.joined(separator: ".") + exponent).map { .real(repr($0)) }
  }

  /// Digits without the single underscores between them.
  private static func joined(_ digits: ArraySlice<UInt8>, where isDigit: (UInt8) -> Bool) -> String? {
    guard let first = digits.first, let last = digits.last, isDigit(first), isDigit(last) else { return nil }
    var plain: [UInt8] = []
    var previous: UInt8 = 0
    for byte in digits {
      if byte == UInt8(ascii: "_") {
        guard previous != byte else { return nil }
      } else {
        guard isDigit(byte) else { return nil }
        plain.append(byte)
      }
      previous = byte
    }
    return String(decoding: plain, as: UTF8.self)
  }
}
