package import Core
package import Ruleset

extension AddressPrefix: MatchPattern {
  /// What `-s` and `-d` match: `A`, `A/LENGTH` or `A/MASK`, the bits behind the prefix cleared, as the kernel does. Nil
  /// for anything else: names, other families' addresses, masks with holes.
  package init?(matched text: some Collection<UInt8>, _ family: Family) {
    let parts = text.split(separator: UInt8(ascii: "/"), maxSplits: 2, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    guard let address = AddressPrefix(parts[0]), parts.count <= 2, address.family == family else { return nil }
    guard parts.count == 2 else {
      self = address
      return
    }
    let mask = AddressPrefix(parts[1]).flatMap { $0.family == family ? $0.maskLength : nil }
    guard let length = PortSet.number(parts[1].utf8, atMost: family.addressBits) ?? mask else { return nil }
    self = address.widened(to: length)
  }

  package init?(matched text: String, _ family: Family) { self.init(matched: text.utf8, family) }

  package func isDisjoint(from other: AddressPrefix) -> Bool { !contains(other) && !other.contains(self) }
}
