package import Core
internal import Glibc

/// The addresses that have their first bits in common, or one, as ipset prints them: `192.0.2.0/24`, `192.0.2.1`,
/// `2001:db8::/32`. Nothing here asks a name service: `inet_pton` only reads numbers.
package struct AddressPrefix: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let family: Family
  /// In bits.
  package let length: Int
  /// The address in the highest bits.
  private let bits: UInt128

  /// Any numeric spelling of an address, with or without a prefix length; nil for another text, and where bits are set
  /// behind the prefix.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts[0].utf8.count < Int(INET6_ADDRSTRLEN) else { return nil }
    let address = String(parts[0])
    let family: Family = address.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
    guard AddressText.isAddress(address.utf8, family) else { return nil }
    var bytes = [UInt8](repeating: 0, count: family == .ipv4 ? 4 : 16)
    guard inet_pton(family == .ipv4 ? AF_INET : AF_INET6, address, &bytes) == 1 else { return nil }
    let whole = family.addressBits
    if parts.count == 2 {
      guard let length = AddressText.number(parts[1].utf8, atMost: whole) else { return nil }
      self.length = length
    } else {
      length = whole
    }
    self.family = family
    bits = bytes.reduce(0) { $0 << 8 | UInt128($1) } << UInt128(128 - whole)
    guard bits & ~Self.mask(length) == 0 else { return nil }
  }

  /// One address by its bytes, 4 or 16, in network order.
  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    family = bytes.count == 4 ? .ipv4 : .ipv6
    length = bytes.count * 8
    bits = bytes.reduce(0) { $0 << 8 | UInt128($1) } << UInt128(128 - length)
  }

  /// Made here, not by `inet_ntop`: libraries spell an address in different ways, and both sides of the wire, as well as the
  /// names of sets, need one.
  package var description: String {
    let address = family == .ipv4 ? Self.dotted(UInt32(truncatingIfNeeded: bits >> 96)) : grouped
    return isOneAddress ? address : "\(address)/\(length)"
  }

  /// As iptables-save prints it, always with its length.
  package var ruleText: String { isOneAddress ? "\(self)/\(length)" : description }

  package var isWhole: Bool { length == 0 }
  package var isOneAddress: Bool { length == family.addressBits }

  /// 127.0.0.0/8 and ::1.
  package var isLoopback: Bool { family == .ipv4 ? length >= 8 && bits >> 120 == 127 : isOneAddress && bits == 1 }

  /// How many bits a mask of this form leaves alone: 24 of `255.255.255.0`. Nil for masks with holes, and for prefixes.
  package var maskLength: Int? {
    let ones = (~bits).leadingZeroBitCount
    return isOneAddress && bits == Self.mask(ones) ? ones : nil
  }

  private static func dotted(_ address: UInt32) -> String {
    [24, 16, 8, 0].map { "\(address >> $0 & 0xff)" }.joined(separator: ".")
  }

  /// RFC 5952: the first of the longest runs of two zero groups and more is `::`. Of addresses that begin with nothing but
  /// zeros, or with `::ffff`, the last two groups stand as an IPv4 address.
  private var grouped: String {
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) }
    var gap = 0..<0
    var start = 0
    while start < 8 {
      let end = groups[start...].firstIndex { $0 != 0 } ?? 8
      if end - start > max(1, gap.count) { gap = start..<end }
      start = end + 1
    }
    let endsInIPv4 = gap == 0..<6 || gap == 0..<5 && groups[5] == 0xffff
    var words = groups.prefix(endsInIPv4 ? 6 : 8).map { String($0, radix: 16) }
    if endsInIPv4 { words.append(Self.dotted(UInt32(truncatingIfNeeded: bits))) }
    guard !gap.isEmpty else { return words.joined(separator: ":") }
    return words[..<gap.lowerBound].joined(separator: ":") + "::" + words[gap.upperBound...].joined(separator: ":")
  }

  /// The prefix of this length that it lies in; itself when it is no longer than that.
  package func widened(to length: Int) -> AddressPrefix {
    length < self.length ? AddressPrefix(family: family, length: length, bits: bits & Self.mask(length)) : self
  }

  private init(family: Family, length: Int, bits: UInt128) {
    self.family = family
    self.length = length
    self.bits = bits
  }

  /// Every address of the other one is an address of this one.
  package func contains(_ other: AddressPrefix) -> Bool {
    family == other.family && length <= other.length && other.bits & Self.mask(length) == bits
  }

  /// IPv4 first, then by address; of those that begin with the same one, the widest first.
  package static func < (a: AddressPrefix, b: AddressPrefix) -> Bool {
    if a.family != b.family { return a.family == .ipv4 }
    return (a.bits, a.length) < (b.bits, b.length)
  }

  private static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : UInt128.max << UInt128(128 - length) }
}
