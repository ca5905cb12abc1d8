package import Core
internal import Glibc

/// Numeric addresses and prefixes in their one canonical spelling. Nothing here asks a name service: `inet_pton` and
/// `inet_ntop` only read and write numbers.
package enum NumericAddress {
  /// What is wrong with the text, or nil when it is `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` or `2001:db8::/32`,
  /// spelt canonically: as `inet_ntop` prints it, no bits set behind the prefix, and no `/32` or `/128` on an address.
  package static func fault(in text: String) -> String? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let first = parts.first, parts.count <= 2 else { return "is not a numeric address or prefix" }
    let address = String(first)
    guard var bytes = parse(address) else { return "is not a numeric address or prefix" }
    guard bytes.count == 4 || !isMapped(bytes) else { return "is an IPv4 address in IPv6 clothes; write it as IPv4" }
    guard print(bytes) == address else { return "is not canonical; write \(print(bytes))" }
    guard parts.count == 2 else { return nil }
    let bits = bytes.count * 8
    guard let number = CanonicalNumber.parse(parts[1]), number <= UInt64(bits) else {
      return "has a prefix length outside 0 to \(bits)"
    }
    let length = Int(number)
    guard length < bits else { return "names one address; write it without /\(bits)" }
    clear(&bytes, behind: length)
    guard print(bytes) == address else { return "has bits set behind its prefix; write \(print(bytes))/\(length)" }
    return nil
  }

  /// The family of a canonical address or prefix, or nil for any other text.
  package static func family(of text: String) -> Family? {
    guard fault(in: text) == nil else { return nil }
    return text.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
  }

  /// 4 or 16 bytes.
  private static func parse(_ text: String) -> [UInt8]? {
    // A NUL would end the C string early and hide what follows it.
    guard text.utf8.allSatisfy({ ASCII.isLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") })
    else { return nil }
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: count)
      if inet_pton(family, text, &bytes) == 1 { return bytes }
    }
    return nil
  }

  private static func print(_ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
      return ""
    }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func isMapped(_ bytes: [UInt8]) -> Bool {
    bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
  }

  private static func clear(_ bytes: inout [UInt8], behind length: Int) {
    for index in bytes.indices {
      let kept = min(8, max(0, length - index * 8))
      bytes[index] &= kept == 0 ? 0 : 0xff << UInt8(8 - kept)
    }
  }
}
