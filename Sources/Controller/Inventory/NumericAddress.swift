package import Core
internal import Glibc

/// A numeric IPv4 or IPv6 address in its one canonical spelling. Never looks anything up.
package struct NumericAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let family: Family
  /// `192.0.2.1`, `2001:db8::1`.
  package let description: String
  private let bytes: [UInt8]

  /// Nil unless the text is a whole numeric address: no name, no prefix length, no brackets, no zone, no octal or
  /// shortened IPv4. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is that IPv4 address.
  package init?(_ text: String) {
    guard !text.utf8.contains(0), text.utf8.count <= 45 else { return nil }
    var octets = [UInt8](repeating: 0, count: 16)
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
    if inet_pton(AF_INET6, text, &octets) == 1 {
      if octets.starts(with: mapped) {
        octets.removeFirst(mapped.count)
      }
    } else if inet_pton(AF_INET, text, &octets) == 1 {
      octets.removeLast(12)
    } else {
      return nil
    }
    guard let address = NumericAddress(octets) else { return nil }
    self = address
  }

  /// From the left: an IPv4 address fills the first 32 bits of `high`.
  package init(family: Family, high: UInt64, low: UInt64) {
    let octets = [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    // Sixteen bytes, or the first four of them, always print.
    self.init(Array(octets.prefix(family == .ipv4 ? 4 : 16)))!
  }

  /// The same way round.
  package var bits: (high: UInt64, low: UInt64) {
    let padded = bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    func word(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
    return (word(padded[..<8]), word(padded[8...]))
  }

  /// 4 or 16 bytes.
  private init?(_ octets: [UInt8]) {
    family = octets.count == 4 ? .ipv4 : .ipv6
    bytes = octets
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, octets, &buffer, socklen_t(buffer.count)) != nil else {
      return nil
    }
    description = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  package static func < (a: NumericAddress, b: NumericAddress) -> Bool {
    a.family == b.family ? a.bytes.lexicographicallyPrecedes(b.bytes) : a.family < b.family
  }
}
