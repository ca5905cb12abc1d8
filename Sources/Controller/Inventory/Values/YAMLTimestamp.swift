/// Dates and times of YAML 1.1, which Python prints in ISO 8601: `2026-01-31`, `2026-01-31T08:00:00+00:00`.
enum YAMLTimestamp {
  /// Nil when the text is no date, or names a day that does not exist.
  static func iso(_ text: String) -> String? {
    guard text.utf8.count <= 64 else { return nil }
    var rest = Array(text.utf8)[...]
    guard let year = number(&rest, 4...4), skip("-", &rest) else { return nil }
    let monthStart = rest
    guard let month = number(&rest, 1...2), skip("-", &rest), let day = number(&rest, 1...2), year > 0,
      isDay(year, month, day)
    else { return nil }
    let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    if rest.isEmpty {
      // Alone, month and day have two digits.
      return monthStart.count == 5 && monthStart.dropFirst(2).first == UInt8(ascii: "-") ? date : nil
    }
    if !skip("t", &rest), !skip("T", &rest) {
      guard skipBlanks(&rest) else { return nil }
    }
    guard let hour = number(&rest, 1...2), skip(":", &rest), let minute = number(&rest, 2...2), skip(":", &rest),
      let second = number(&rest, 2...2), hour < 24, minute < 60, second < 60
    else { return nil }
    var time = "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))"
    if skip(".", &rest) {
      let digits = rest.prefix(while: PlainScalar.isDigit)
      rest = rest.dropFirst(digits.count)
      let micro = String(decoding: digits.prefix(6), as: UTF8.self)
      let fraction = micro + String(repeating: "0", count: 6 - micro.utf8.count)
      if fraction.contains(where: { $0 != "0" }) { time += "." + fraction }
    }
    let hadBlank = skipBlanks(&rest)
    if rest.isEmpty { return hadBlank ? nil : "\(date)T\(time)" }
    guard let zone = zone(&rest), rest.isEmpty else { return nil }
    return "\(date)T\(time)\(zone)"
  }

  private static func zone(_ rest: inout ArraySlice<UInt8>) -> String? {
    if skip("Z", &rest) { return "+00:00" }
    let isWest = rest.first == UInt8(ascii: "-")
    guard skip("-", &rest) || skip("+", &rest), let hours = number(&rest, 1...2) else { return nil }
    var minutes = 0
    if skip(":", &rest) {
      guard let given = number(&rest, 2...2) else { return nil }
      minutes = given
    }
    let total = hours * 60 + minutes
    guard total < 24 * 60 else { return nil }
    return "\(isWest && total > 0 ? "-" : "+")\(padded(total / 60, 2)):\(padded(total % 60, 2))"
  }

  private static func isDay(_ year: Int, _ month: Int, _ day: Int) -> Bool {
    guard (1...12).contains(month), day >= 1 else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return day <= [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }

  private static func number(_ rest: inout ArraySlice<UInt8>, _ width: ClosedRange<Int>) -> Int? {
    let digits = rest.prefix(width.upperBound).prefix(while: PlainScalar.isDigit)
    guard width.contains(digits.count) else { return nil }
    rest = rest.dropFirst(digits.count)
    return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }

  private static func skip(_ character: Unicode.Scalar, _ rest: inout ArraySlice<UInt8>) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) -> Bool {
    let count = rest.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
    rest = rest.dropFirst(count)
    return count > 0
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}
