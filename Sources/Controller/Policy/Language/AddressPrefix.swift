package import Core
package import Inventory

/// A numeric network or address of one family, without bits behind its length.
package struct AddressPrefix: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let family: Family
  package let length: Int
  /// From the left: an IPv4 address fills the first 32 bits of `high`.
  private let high: UInt64
  private let low: UInt64

  package enum Fault: Error, Hashable, Sendable {
    case malformed
    case length(atMost: Int)
    /// Bits are set behind the prefix length; this is what may have been meant.
    case hostBits(AddressPrefix)
  }

  /// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`: canonical or not, but nothing shortened and nothing looked up.
  package init(_ text: String) throws(Fault) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = NumericAddress(String(parts[0])) else { throw .malformed }
    let (high, low) = address.bits
    let width = address.family == .ipv4 ? 32 : 128
    var length = width
    if parts.count == 2 {
      guard let given = Self.number(parts[1]), given <= width else { throw .length(atMost: width) }
      length = given
    }
    let network = AddressPrefix(family: address.family, length: length, high: high, low: low)
    guard network.high == high, network.low == low else { throw .hostBits(network) }
    self = network
  }

  package init(_ address: NumericAddress) {
    let (high, low) = address.bits
    self.init(family: address.family, length: address.family == .ipv4 ? 32 : 128, high: high, low: low)
  }

  private init(family: Family, length: Int, high: UInt64, low: UInt64) {
    self.family = family
    self.length = length
    self.high = high & Self.mask(length)
    self.low = low & Self.mask(length - 64)
  }

  package var isWhole: Bool { length == 0 }
  package var isOneAddress: Bool { length == (family == .ipv4 ? 32 : 128) }

  package func contains(_ other: AddressPrefix) -> Bool {
    family == other.family && length <= other.length && other.high & Self.mask(length) == high
      && other.low & Self.mask(length - 64) == low
  }

  /// As iptables-save prints it, with its length.
  package var description: String { "\(NumericAddress(family: family, high: high, low: low))/\(length)" }

  package static func < (a: AddressPrefix, b: AddressPrefix) -> Bool {
    (a.family, a.high, a.low, a.length) < (b.family, b.high, b.low, b.length)
  }

  /// Sorted, without those that others contain.
  package static func merged(_ prefixes: some Sequence<AddressPrefix>) -> [AddressPrefix] {
    var kept: [AddressPrefix] = []
    for prefix in Set(prefixes).sorted() where kept.last?.contains(prefix) != true { kept.append(prefix) }
    return kept
  }

  private static func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : .max << UInt64(64 - bits) }

  private static func number(_ text: Substring) -> Int? {
    guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      text == "0" || !text.hasPrefix("0")
    else { return nil }
    return Int(text)
  }
}
