/// What YAML 1.1, as PyYAML reads it, makes of a text without quotes: `no` is false, `0644` is 420, `22:30` is 1350.
enum PlainScalar {
  static func value(of text: String) -> InventoryValue {
    if ["", "~", "null", "Null", "NULL"].contains(text) { return .null }
    if let value = bool(text) { return .bool(value) }
    guard let first = text.utf8.first, isDigit(first) || "+-.".utf8.contains(first) else { return .text(text) }
    return float(text) ?? integer(text) ?? YAMLTimestamp.iso(text).map { .text($0) } ?? .text(text)
  }

  static func bool(_ text: String) -> Bool? {
    switch text {
    case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": true
    case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": false
    default: nil
    }
  }

  /// `[-+]?` and `0b…`, `0…` (octal), decimal, `0x…`, or sexagesimal `1:30`; `_` between digits means nothing.
  static func integer(_ text: String) -> InventoryValue? {
    var digits = Array(text.utf8)
    guard digits.count <= 256 else { return nil }
    let isNegative = digits.first == UInt8(ascii: "-")
    if let sign = digits.first, "+-".utf8.contains(sign) { digits.removeFirst() }
    guard let first = digits.first, isDigit(first) else { return nil }
    if digits.contains(UInt8(ascii: ":")) {
      guard first != UInt8(ascii: "0"), let groups = sexagesimal(digits[...]) else { return nil }
      var value = 0
      for group in groups {
        guard let digits = Int(String(decoding: group.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)) else {
          return nil
        }
        let (product, overflow) = value.multipliedReportingOverflow(by: 60)
        guard !overflow, product <= Int.max - digits else { return nil }
        value = product + digits
      }
      return .integer(isNegative ? -value : value)
    }
    let radix: Int
    if digits.starts(with: "0b".utf8) {
      (radix, digits) = (2, Array(digits.dropFirst(2)))
    } else if digits.starts(with: "0x".utf8) {
      (radix, digits) = (16, Array(digits.dropFirst(2)))
    } else {
      radix = first == UInt8(ascii: "0") && digits.count > 1 ? 8 : 10
    }
    let plain = digits.filter { $0 != UInt8(ascii: "_") }
    guard !plain.isEmpty, plain.allSatisfy({ (hexValue($0) ?? 99) < radix }) else { return nil }
    let body = String(decoding: plain, as: UTF8.self)
    if let value = Int((isNegative ? "-" : "") + body, radix: radix) { return .integer(value) }
    return radix == 10 ? .real((isNegative ? "-" : "") + body) : nil
  }

  /// Only with a point: `1e3` is a text in YAML 1.1, and so is `1.5e3`, whose exponent has no sign.
  static func float(_ text: String) -> InventoryValue? {
    var body = Array(text.utf8)
    guard body.count <= 256 else { return nil }
    let sign = body.first.map { "+-".utf8.contains($0) } ?? false ? body.removeFirst() : UInt8(ascii: "+")
    let isSigned = body.count != text.utf8.count
    let isNegative = sign == UInt8(ascii: "-")
    let word = String(decoding: body, as: UTF8.self)
    if [".inf", ".Inf", ".INF"].contains(word) { return .real(isNegative ? "-Infinity" : "Infinity") }
    if !isSigned, [".nan", ".NaN", ".NAN"].contains(word) { return .real("NaN") }
    guard let point = body.firstIndex(of: UInt8(ascii: ".")) else { return nil }
    let whole = body[..<point]
    var rest = body[(point + 1)...]
    if whole.contains(UInt8(ascii: ":")) {
      guard rest.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") }), let groups = sexagesimal(whole) else {
        return nil
      }
      var value = 0.0
      for group in groups {
        let digits = String(decoding: group.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        value = value * 60 + (Double(digits) ?? 0)
      }
      let fraction = String(decoding: rest.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
      value += Double("0." + (fraction.isEmpty ? "0" : fraction)) ?? 0
      return .real(PythonNumber.repr(isNegative ? -value : value))
    }
    if let exponent = rest.firstIndex(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
      let digits = rest[(exponent + 1)...]
      guard let first = digits.first, "+-".utf8.contains(first), digits.count > 1,
        digits.dropFirst().allSatisfy(isDigit)
      else { return nil }
      rest = rest[..<exponent]
    }
    guard rest.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") }) else { return nil }
    if whole.isEmpty {
      guard !isSigned, let first = rest.first, isDigit(first) else { return nil }
    } else {
      guard isDigit(whole[0]), whole.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") }) else { return nil }
    }
    return PythonNumber.real(String(decoding: Array(text.utf8).filter { $0 != UInt8(ascii: "_") }, as: UTF8.self))
  }

  /// `N:N…`, the first any number, the others up to 59.
  private static func sexagesimal(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
    let groups = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard groups.count > 1, let first = groups[0].first, isDigit(first),
      groups[0].allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") })
    else { return nil }
    for group in groups.dropFirst() {
      guard let first = group.first, group.count <= 2, group.allSatisfy(isDigit),
        group.count == 1 || first <= UInt8(ascii: "5")
      else { return nil }
    }
    return groups
  }

  static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  static func hexValue(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }
}
