package import Core

/// Addresses that rules name at once. It never changes: its name is made of what it holds, so other members make another
/// set, and rules that name this one mean exactly these (docs/adr/0009-sets-never-change.md).
package struct AddressSet: Hashable, Sendable {
  /// As many as the kernel lets such a set have by default.
  package static let maximumElements = 65_536

  package let family: Family
  /// Sorted, and none within another.
  package let elements: [AddressPrefix]
  /// For `-m set --match-set NAME src`.
  package let name: String

  /// Sorts the prefixes and drops those that lie within others. They must be of this family.
  package init(family: Family, prefixes: some Sequence<AddressPrefix>) throws(StrictTextProblem) {
    func refuse(_ reason: String) -> StrictTextProblem { StrictTextProblem(SetsFile.name, reason) }
    var elements: [AddressPrefix] = []
    for prefix in prefixes.sorted() where !(elements.last?.contains(prefix) ?? false) { elements.append(prefix) }
    guard let first = elements.first, let last = elements.last else {
      throw refuse("a set without members matches nothing")
    }
    guard first.family == family, last.family == family else { throw refuse("a set holds addresses of one family") }
    guard first.length > 0 else { throw refuse("a set cannot hold \(first), which is every address") }
    guard elements.count <= Self.maximumElements else {
      throw refuse("a set has \(elements.count) members, more than the \(Self.maximumElements) allowed")
    }
    self.family = family
    self.elements = elements
    var digest = DigestBuilder()
    digest.update(Array("\(Self.word(family))\n".utf8))
    for element in elements { digest.update(Array("\(element)\n".utf8)) }
    name = SetName.holding(digest.finish())
  }

  /// What ipset calls a family.
  static func word(_ family: Family) -> String { family == .ipv4 ? "inet" : "inet6" }

  /// What makes it, in the words of `ipset restore`.
  package func text(named name: String? = nil) -> [UInt8] {
    let name = name ?? self.name
    var text = Array("create \(name) \(Self.type(family))\n".utf8)
    for element in elements { text += Array("add \(name) \(element)\n".utf8) }
    return text
  }

  static func type(_ family: Family) -> String {
    "hash:net family \(word(family)) hashsize 1024 maxelem \(maximumElements)"
  }
}

/// The set in which the kernel counts what an observed policy would have dropped: source address, protocol and port.
package enum ObservationSet {
  /// Entries of one family.
  package static let capacity = 65_536

  /// What makes it, in the words of `ipset restore`.
  package static func text(_ family: Family, named name: String? = nil) -> [UInt8] {
    Array("create \(name ?? SetName.observations(family)) \(type(family))\n".utf8)
  }

  /// When it is full, new entries take the place of others.
  static func type(_ family: Family) -> String {
    "hash:ip,port family \(AddressSet.word(family)) hashsize 1024 maxelem \(capacity) counters forceadd"
  }
}
