package import Ruleset

/// Sets that rules name, and whose members are known.
package struct KnownSets: Sendable {
  private struct Entry: Sendable {
    let set: AddressSet
    let widest: AddressPrefix
  }

  package static let none = KnownSets([])

  private let entries: [String: Entry]

  package init(_ sets: [AddressSet]) {
    var entries: [String: Entry] = [:]
    for set in sets {
      entries[set.name] = set.elements.min { $0.length < $1.length }.map { Entry(set: set, widest: $0) }
    }
    self.entries = entries
  }

  /// Nil for any other match than `--match-set NAME src` or `dst`, and for sets that nothing is known of.
  func answer(_ match: OpaqueMatch, to probe: PacketProbe) -> PacketProbe.Answer? {
    let isNegated = match.words.first == "!"
    let words = Array(match.words.dropFirst(isNegated ? 1 : 0))
    guard match.module == "set", words.count == 3, words[0] == "--match-set", let entry = entries[words[1]],
      entry.set.family == probe.family
    else { return nil }
    switch words[2] {
    case "src": return Self.answer(entry, probe.source).negated(isNegated)
    case "dst": return Self.answer(entry, probe.destination).negated(isNegated)
    default: return nil
    }
  }

  private static func answer(_ entry: Entry, _ peer: PacketProbe.Peer) -> PacketProbe.Answer {
    switch peer {
    case .address(let prefix): answer(entry.set.elements, prefix)
    case .stranger: PacketProbe.answer(entry.widest, peer)
    case .own: entry.set.elements.contains { PacketProbe.answer($0, peer) != .no } ? .open : .no
    }
  }

  /// They are sorted, and none lies within another: only the neighbours of the prefix can have to do with it.
  private static func answer(_ elements: [AddressPrefix], _ prefix: AddressPrefix) -> PacketProbe.Answer {
    var low = 0
    var high = elements.count
    while low < high {
      let middle = (low + high) / 2
      if elements[middle] <= prefix { low = middle + 1 } else { high = middle }
    }
    if low > 0, elements[low - 1].contains(prefix) { return .yes }
    return low < elements.count && prefix.contains(elements[low]) ? .open : .no
  }
}
