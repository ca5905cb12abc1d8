package import Core
internal import Glibc

/// The addresses that have their first bits in common. Both families are kept in the same way, IPv4 in the upper half
/// of `high`.
package struct MatchedPrefix: Hashable, Sendable {
  package let family: Family
  package let length: Int
  let high: UInt64
  let low: UInt64

  /// Bits behind the prefix are cleared, as the kernel does.
  init(_ family: Family, high: UInt64, low: UInt64, length: Int) {
    self.family = family
    self.length = length
    self.high = high & Self.mask(length)
    self.low = low & Self.mask(length - 64)
  }

  /// Reads `A`, `A/LENGTH` and `A/MASK`. Nil for anything else: names, other families' addresses, masks with holes.
  package init?(_ text: some Collection<UInt8>, _ family: Family) {
    let parts = text.split(separator: UInt8(ascii: "/"), maxSplits: 2, omittingEmptySubsequences: false)
    guard let first = parts.first, parts.count <= 2, let address = Self.parse(first, family) else { return nil }
    var length = family.addressBits
    if parts.count == 2 {
      if let number = PortSet.number(parts[1], atMost: length) {
        length = number
      } else if let mask = Self.parse(parts[1], family), let bits = Self.length(ofMask: mask, family) {
        length = bits
      } else {
        return nil
      }
    }
    self.init(family, high: address.high, low: address.low, length: length)
  }

  package init?(_ text: String, _ family: Family) { self.init(text.utf8, family) }

  package var isEverything: Bool { length == 0 }

  package func contains(_ other: MatchedPrefix) -> Bool {
    family == other.family && length <= other.length && other.high & Self.mask(length) == high
      && other.low & Self.mask(length - 64) == low
  }

  package func isDisjoint(from other: MatchedPrefix) -> Bool { !contains(other) && !other.contains(self) }

  /// The wider prefix of this length around it.
  func widened(to length: Int) -> MatchedPrefix { MatchedPrefix(family, high: high, low: low, length: length) }

  /// The address as `inet_ntop` writes it, without a length.
  package var address: String {
    var bytes: [UInt8] = []
    for half in [high, low] {
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: half >> shift))
      }
    }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: Bits

  private static func mask(_ length: Int) -> UInt64 {
    length <= 0 ? 0 : length >= 64 ? .max : .max << UInt64(64 - length)
  }

  private static func length(ofMask mask: (high: UInt64, low: UInt64), _ family: Family) -> Int? {
    let ones = mask.high.leadingOnes
    let length = ones < 64 ? ones : 64 + mask.low.leadingOnes
    return mask.high == Self.mask(length) && mask.low == Self.mask(length - 64) ? length : nil
  }

  private static func parse(_ text: some Collection<UInt8>, _ family: Family) -> (high: UInt64, low: UInt64)? {
    switch family {
    case .ipv4: parseIPv4(text).map { (UInt64($0) << 32, 0) }
    case .ipv6: parseIPv6(text)
    }
  }

  private static func parseIPv4(_ text: some Collection<UInt8>) -> UInt32? {
    var address: UInt32 = 0
    var parts = 0
    for part in text.split(separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false) {
      guard parts < 4, let number = PortSet.number(part, atMost: 255) else { return nil }
      address = address << 8 | UInt32(number)
      parts += 1
    }
    return parts == 4 ? address : nil
  }

  private static func parseIPv6(_ text: some Collection<UInt8>) -> (high: UInt64, low: UInt64)? {
    // A NUL would end the C string early and hide what follows it.
    guard text.count < INET6_ADDRSTRLEN, text.contains(UInt8(ascii: ":")), !text.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    let characters = text.map { CChar(bitPattern: $0) } + [0]
    guard inet_pton(AF_INET6, characters, &bytes) == 1 else { return nil }
    let halves = [bytes[..<8], bytes[8...]].map { $0.reduce(0) { $0 << 8 | UInt64($1) } }
    return (halves[0], halves[1])
  }
}

extension UInt64 {
  fileprivate var leadingOnes: Int { (~self).leadingZeroBitCount }
}

extension Family {
  package var addressBits: Int { self == .ipv4 ? 32 : 128 }
  package var words: String { self == .ipv4 ? "IPv4" : "IPv6" }
  package var other: Family { self == .ipv4 ? .ipv6 : .ipv4 }
}
