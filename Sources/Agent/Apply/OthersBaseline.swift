internal import Core
internal import Ruleset

/// What else filtered packets when this host first ran a release of ours: that is how its owners wanted it. It is taken
/// then, and anew only when a release says so; a host that gives our rules up forgets it.
struct OthersBaseline: Hashable {
  private struct Entry: Hashable {
    var digest: Digest
    /// Of the words that were printed: an earlier agent took it down.
    var isAsPrinted = false
  }

  private var entries: [String: Entry]
  /// Otherwise an earlier agent took it down: policies were part of their owners' rules.
  private let hasPoliciesApart: Bool
  /// The rules of others that were there then; nil where nobody knows their words.
  private(set) var rules: OthersRules?

  /// Of a policy that was ours then: nobody knows what others would have set.
  private static let ours = Entry(digest: Digest(of: "ours".utf8))

  /// What no packet passes through filters nothing, and is as good as not there.
  init(_ found: OtherFilters, rules: OthersRules? = nil) {
    hasPoliciesApart = true
    entries = Dictionary(
      found.all(policiesApart: true).filter(\.isHooked).map { ($0.key, Entry(digest: $0.digest)) }
    ) { first, _ in first }
    for key in found.ownPolicyKeys { entries[key] = Self.ours }
    self.rules = rules
  }

  subscript(filter: OtherFilter) -> Digest? { entries[filter.key]?.digest }

  /// Those that can be compared with it.
  func comparable(_ found: OtherFilters) -> [OtherFilter] {
    let own = found.ownPolicyKeys
    return found.all(policiesApart: hasPoliciesApart).filter { !own.contains($0.key) && entries[$0.key] != Self.ours }
  }

  /// Whether it is as it was.
  func holds(_ filter: OtherFilter) -> Bool {
    guard let entry = entries[filter.key] else { return false }
    return entry.digest == (entry.isAsPrinted ? filter.asPrinted ?? filter.digest : filter.digest)
  }

  /// What was found then, and filters nothing any more.
  func gone(from found: OtherFilters) -> [OthersDifference] {
    let present = Set(comparable(found).filter(\.isHooked).map(\.key)).union(found.ownPolicyKeys)
    let missing = entries.filter { $0.value != Self.ours && !present.contains($0.key) }
    return missing.sorted { $0.key < $1.key }.compactMap { key, entry in
      let family = Family.allCases.first { key.hasPrefix("\($0)/") }
      return family.map {
        OthersDifference(
          family: $0, name: String(key.dropFirst("\($0)/".count)), before: entry.digest, now: nil, drops: false)
      }
    }
  }

  /// Keys of what is as it was then.
  func unchanged(in found: OtherFilters) -> [String] {
    comparable(found).filter { $0.isHooked && holds($0) }.map(\.key)
  }

  // MARK: - Renewal

  /// What an earlier agent took down by its words, by what it means, where it is still what it was.
  ///
  /// - Parameter rules: of others, as they are now.
  func settled(by found: OtherFilters, rules: () -> OthersRules?) -> OthersBaseline {
    guard entries.values.contains(where: \.isAsPrinted) else { return self }
    let filters = comparable(found)
    var settled = self
    for filter in filters where holds(filter) { settled.entries[filter.key] = Entry(digest: filter.digest) }
    let isAsThen =
      filters.allSatisfy { $0.kind != .rules || holds($0) } && !gone(from: found).contains(where: \.isOfRules)
    if isAsThen { settled.rules = rules() }
    return settled
  }

  /// The same rules of others, as other programs print them.
  func renewed(by now: PerFamily<Ruleset>, rules: OthersRules) -> OthersBaseline {
    var renewed = self
    for (key, digest) in now.othersDigests(policiesApart: hasPoliciesApart) where entries[key] != nil {
      renewed.entries[key] = Entry(digest: digest)
    }
    renewed.rules = rules
    return renewed
  }

  /// Without what the file of an earlier format does not have: that was known to be new. Of what it has, and is gone, it is
  /// still known that it was there.
  ///
  /// - Parameter found: all there is, hooked or not.
  func restricted(to earlier: EarlierOthers, _ found: OtherFilters) -> OthersBaseline {
    var restricted = self
    restricted.entries = entries.filter { earlier.digests[$0.key] != nil || EarlierOthers.isUnlookedFor($0.key) }
    let present = Set([true, false].flatMap { found.all(policiesApart: $0).map(\.key) })
    for (key, digest) in earlier.digests where !present.contains(key) {
      restricted.entries[key] = Entry(digest: digest)
    }
    if restricted.entries != entries { restricted.rules = nil }
    return restricted
  }

  // MARK: - On disk

  /// What is known by the words that programs print.
  private static func isWorded(_ key: String) -> Bool {
    [OtherFilter.rules, OtherFilter.otherBackend].contains { key.contains("/\($0)/") }
  }

  private static let format = "format 2"
  private static let formatWithin = "format 2 policies-within"
  private static let asPrinted = "as-printed"

  func encode() -> [UInt8] {
    let lines =
      [hasPoliciesApart ? Self.format : Self.formatWithin]
      + entries.sorted { $0.key < $1.key }.map { key, entry in
        "\(key) \(entry.digest)" + (entry.isAsPrinted ? " \(Self.asPrinted)" : "")
      }
    return lines.flatMap { Array("\($0)\n".utf8) } + (rules?.encode() ?? [])
  }

  /// Nil for what `encode` did not write, now or when digests were of the printed words.
  init?(parsing bytes: [UInt8]) {
    var rest = bytes[...]
    func line() -> ArraySlice<UInt8> { rest.prefix { $0 != OthersRules.newline } }
    let format = String(decoding: line(), as: UTF8.self)
    let isEarlier = format == NotedFile.format
    guard [NotedFile.format, Self.format, Self.formatWithin].contains(format) else { return nil }
    hasPoliciesApart = format == Self.format
    rest = rest.dropFirst(line().count + 1)
    entries = [:]
    while !rest.isEmpty, !rest.starts(with: OthersRules.heading.utf8) {
      let words = String(decoding: line(), as: UTF8.self).split(separator: " ")
      rest = rest.dropFirst(line().count + 1)
      let isMarked = words.count == 3 && words[2] == Self.asPrinted
      guard words.count == 2 || isMarked, let digest = Digest(String(words[1])) else { return nil }
      let key = String(words[0])
      entries[key] = Entry(digest: digest, isAsPrinted: isMarked || isEarlier && Self.isWorded(key))
    }
    guard !rest.isEmpty else { return }
    guard let rules = OthersRules(parsing: rest) else { return nil }
    self.rules = rules
  }
}

/// What an agent wrote before such files named their format. Its digests are not comparable with those of now.
struct EarlierOthers {
  private(set) var digests: [String: Digest] = [:]

  init?(parsing bytes: [UInt8]) {
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 2, let digest = Digest(String(words[1])) else { return nil }
      digests[String(words[0])] = digest
    }
  }

  /// Agents looked for this only later, or not by itself.
  static func isUnlookedFor(_ key: String) -> Bool {
    key.hasSuffix("/unprinted") || key.contains("/\(OtherFilter.policy)/")
  }
}
