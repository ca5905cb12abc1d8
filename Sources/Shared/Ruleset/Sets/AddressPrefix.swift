package import Core
internal import Glibc

/// The addresses that have their first bits in common, or one, as ipset prints them: `192.0.2.0/24`, `192.0.2.1`,
/// `2001:db8::/32`. Nothing here asks a name service: `inet_pton` and `inet_ntop` only read and write numbers.
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

  package var description: String {
    let bytes = (0..<family.addressBits / 8).map { UInt8(truncatingIfNeeded: bits >> UInt128(120 - 8 * $0)) }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
    let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return isOneAddress ? address : "\(address)/\(length)"
  }

  /// As iptables-save prints it, always with its length.
  package var ruleText: String { isOneAddress ? "\(self)/\(length)" : description }

  package var isWhole: Bool { length == 0 }
  package var isOneAddress: Bool { length == family.addressBits }

  /// How many bits a mask of this form leaves alone: 24 of `255.255.255.0`. Nil for masks with holes, and for prefixes.
  package var maskLength: Int? {
    let ones = (~bits).leadingZeroBitCount
    return isOneAddress && bits == Self.mask(ones) ? ones : nil
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
