package import Core

/// Numeric addresses, judged by their bytes. Nothing here asks a name service, and no spelling is accepted that other
/// programs read differently (`010.0.0.1`, `10.1`).
enum AddressText {
  /// Four decimal numbers without leading zeros.
  static func isIPv4(_ text: some Collection<UInt8>) -> Bool {
    var parts = 1
    var digits = 0
    var value = 0
    for byte in text {
      if byte == UInt8(ascii: ".") {
        guard digits > 0, parts < 4 else { return false }
        parts += 1
        (digits, value) = (0, 0)
      } else {
        guard isDigit(byte), digits == 0 || value > 0 else { return false }
        digits += 1
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
        guard value <= 255 else { return false }
      }
    }
    return parts == 4 && digits > 0
  }

  /// RFC 4291 §2.2: eight groups, at most one `::` for one or more of them, the last two perhaps as IPv4. No zone.
  static func isIPv6(_ text: some Collection<UInt8>) -> Bool {
    let bytes = Array(text)
    let gap = bytes.indices.dropLast().first { bytes[$0] == colon && bytes[$0 + 1] == colon }
    guard let gap else { return groupCount(bytes[...], mayEndInIPv4: true) == 8 }
    guard let before = groupCount(bytes[..<gap], mayEndInIPv4: false),
      let after = groupCount(bytes[(gap + 2)...], mayEndInIPv4: true)
    else { return false }
    return before + after < 8
  }

  /// How many groups of 16 bits a part between `::` writes, or nil when it is malformed.
  private static func groupCount(_ part: ArraySlice<UInt8>, mayEndInIPv4: Bool) -> Int? {
    guard !part.isEmpty else { return 0 }
    var groups = part.split(separator: colon, omittingEmptySubsequences: false)
    var count = groups.count
    if mayEndInIPv4, let last = groups.last, isIPv4(last) {
      groups.removeLast()
      count += 1
    }
    let areGroups = groups.allSatisfy { !$0.isEmpty && $0.count <= 4 && $0.allSatisfy(isHex) }
    return areGroups && count <= 8 ? count : nil
  }

  static func isAddress(_ text: some Collection<UInt8>, _ family: Family) -> Bool {
    family == .ipv4 ? isIPv4(text) : isIPv6(text)
  }

  /// A prefix length, or a mask written as an address.
  static func isMask(_ text: some Collection<UInt8>, _ family: Family) -> Bool {
    number(text, atMost: family.addressBits) != nil || isAddress(text, family)
  }

  /// A decimal number without leading zeros, at most `limit`.
  static func number(_ text: some Collection<UInt8>, atMost limit: Int) -> Int? {
    guard !text.isEmpty, text.count <= 10, text.allSatisfy(isDigit) else { return nil }
    guard text.count == 1 || text.first != UInt8(ascii: "0") else { return nil }
    let value = text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return value <= limit ? value : nil
  }

  private static let colon = UInt8(ascii: ":")

  private static func isHex(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
      || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
  }
}

extension Family {
  package var addressBits: Int { self == .ipv4 ? 32 : 128 }
  package var other: Family { self == .ipv4 ? .ipv6 : .ipv4 }
  package var words: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
