internal import Core
package import Inventory
package import Ruleset

/// Why a text is no prefix.
enum PrefixFault: Error, Hashable, Sendable {
  case malformed
  case length(atMost: Int)
  /// Bits are set behind the prefix length; this is what may have been meant.
  case hostBits(AddressPrefix)
}

extension AddressPrefix {
  /// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`: nothing shortened and nothing looked up. An IPv4 address in IPv6 clothes
  /// is that IPv4 address.
  init(reading text: String) throws(PrefixFault) {
    if let prefix = AddressPrefix(text), !text.contains("/") || prefix.family == .ipv4 || !text.contains(".") {
      self = text.contains("/") ? prefix : NumericAddress(text).map { AddressPrefix($0) } ?? prefix
      return
    }
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = NumericAddress(String(parts[0])) else { throw .malformed }
    let width = address.family.addressBits
    guard parts.count == 2 else {
      self = AddressPrefix(address)
      return
    }
    guard let length = PrefixLength.number(parts[1]), length <= width else { throw .length(atMost: width) }
    throw .hostBits(AddressPrefix(address).widened(to: length))
  }

  package init(_ address: NumericAddress) {
    // What a numeric address prints is one to read.
    self = AddressPrefix(address.description)!
  }

  /// Sorted, without those that others contain.
  package static func merged(_ prefixes: some Sequence<AddressPrefix>) -> [AddressPrefix] {
    var kept: [AddressPrefix] = []
    for prefix in Set(prefixes).sorted() where kept.last?.contains(prefix) != true { kept.append(prefix) }
    return kept
  }
}

private enum PrefixLength {
  static func number(_ text: Substring) -> Int? {
    guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      text == "0" || !text.hasPrefix("0")
    else { return nil }
    return Int(text)
  }
}
