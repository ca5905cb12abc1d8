package import Core

/// An ipset of a policy, called by what it holds: other members, another name, in the rules too.
package struct AddressSet: Hashable, Sendable {
  package let family: Family
  /// Sorted, none within another.
  package let prefixes: [AddressPrefix]
  package let name: String

  package var restoreText: String {
    let size = max(1024, prefixes.count)
    return "create \(name) hash:net family \(family == .ipv4 ? "inet" : "inet6") hashsize 1024 maxelem \(size)\n"
      + prefixes.map { "add \(name) \($0)\n" }.joined()
  }

  init(family: Family, prefixes: [AddressPrefix]) {
    self.family = family
    self.prefixes = prefixes
    let text = ([family.rawValue] + prefixes.map(\.description)).joined(separator: "\n")
    name = "PCL-" + String(Digest(of: Array(text.utf8)).hex.prefix(20))
  }
}
