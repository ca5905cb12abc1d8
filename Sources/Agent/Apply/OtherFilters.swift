internal import Core
internal import Ruleset
internal import Wire

/// Something on the host that filters packets and is not ours.
struct OtherFilter: Hashable {
  enum Kind: Hashable {
    /// An nft table, or a chain that hides in one of iptables' own.
    case table
    /// Rules that the other backend's programs print.
    case otherBackend
    /// Rules of others in the tables that ours are in.
    case rules
  }

  let kind: Kind
  /// Where it is shown: what concerns both families, or neither, stands with IPv4.
  let family: Family
  /// One word.
  let name: String
  let digest: Digest
  /// Of the words that were printed, where there are any: as earlier agents took it down.
  var asPrinted: Digest?
  /// Software that is known keeps it, and changes it when it likes.
  let isKnown: Bool
  /// Packets pass through it.
  let isHooked: Bool
  let drops: Bool

  /// As remembered.
  var key: String { Self.key(family, name) }

  static func key(_ family: Family, _ name: String) -> String { "\(family)/\(name)" }

  /// What `name` begins with, for what is no table.
  static let otherBackend = "other-backend"
  static let rules = "rules"
  static let policy = "policy"

  static func name(of part: ForeignPart, in place: String = rules) -> String {
    "\(place)/\(part.owner?.rawValue ?? "others")"
  }

  /// A word of a rule's line, whatever somebody called his table; other texts give other words.
  static func word(_ text: String, atMost limit: Int = 56) -> String {
    let isPlain = text.utf8.allSatisfy { $0 > UInt8(ascii: " ") && $0 < 0x7f && $0 != UInt8(ascii: "\"") }
    if isPlain, text.utf8.count <= limit, !text.isEmpty, !text.contains("~") { return text }
    let kept = text.unicodeScalars.prefix(30).map { scalar in
      scalar.value > 0x20 && scalar.value < 0x7f && scalar != "\"" ? Character(scalar) : "?"
    }
    return "\(String(kept))~\(Digest(of: text.utf8).short)"
  }
}

/// What was found of them, for reports and for judging.
struct OtherFilters {
  var tables: [OthersReport.Table] = []
  /// In the tables that ours are in, or are to be in.
  var parts = PerFamily<[ForeignPart]>(ipv4: [], ipv6: [])
  /// Of built-in chains there, other than ACCEPT, and nobody of ours: `filter/FORWARD`.
  var policies = PerFamily<[String: String]>(ipv4: [:], ipv6: [:])
  /// Of built-in chains there, that our release sets.
  var ownPolicies = PerFamily<Set<String>>(ipv4: [], ipv6: [])
  /// Nil where the other backend has no programs here.
  var otherBackend = PerFamily<[ForeignPart]?>(ipv4: nil, ipv6: nil)
  /// Tables of the other backend that no program here prints.
  var unprintedTables = PerFamily<[String]>(ipv4: [], ipv6: [])
  /// Digests of rules of others in the tables that ours are in, which iptables' programs leave out or misprint.
  var unprintedRules = PerFamily<[Digest]>(ipv4: [], ipv6: [])
  var sets: [String] = []
  /// The other backend has no tables, so that nothing of it can change unannounced.
  var isOtherBackendBare = true
  /// nft tables that have too many sets to look into.
  private var crowdedTables: [String] = []
  /// nft tables that have sets with too many members.
  private var largeSets: [String] = []
  /// Why some of it could not be read.
  var problem: String?
  /// Why some of what the release judges is taken to be what it was a moment ago.
  var stale: String?
  /// What the release judges and nobody knows any more, and why.
  var unread: [String] = []
  /// What is not in here is not there.
  private(set) var isWhole = true

  mutating func note(_ problem: String, isUnknown: Bool, isWhole: Bool, isJudged: Bool) {
    let words = cut(SafeText.escape(problem))
    self.problem = words
    self.isWhole = self.isWhole && isWhole
    guard isJudged else { return }
    if isUnknown { unread.append(words) } else { stale = words }
  }

  mutating func take(_ state: NftablesState, backend: Backend) {
    for table in state.tables {
      let name = "\(table.family.word) \(OtherFilter.word(table.name))"
      if table.unreadSets > 0 { crowdedTables.append("\(name) has \(table.unreadSets)") }
      if table.largeSets > 0 { largeSets.append("\(name) has \(table.largeSets)") }
      // What their programs print of iptables' tables is looked at in their words.
      guard let family = table.iptablesFamily, backend == .nft || otherBackend[family] != nil else {
        tables.append(Self.table(table))
        continue
      }
      if let digest = table.unprinted {
        switch backend {
        case .nft: unprintedRules[family].append(digest)
        case .legacy:
          tables.append(
            OthersReport.Table(
              family: table.family.word, name: table.name, owner: nil, isHooked: table.isHooked, drops: table.drops,
              digest: digest))
        }
      }
      let builtIn = BuiltInChains.chains(of: table.name) ?? []
      for chain in table.chains where chain.hook != nil && !builtIn.contains(chain.name) {
        tables.append(
          OthersReport.Table(
            family: table.family.word, name: "\(table.name)/\(OtherFilter.word(chain.name))", owner: nil,
            isHooked: !table.isDormant, drops: chain.drops, digest: chain.digest))
      }
    }
  }

  private static func table(_ table: NftablesTable) -> OthersReport.Table {
    OthersReport.Table(
      family: table.family.word, name: OtherFilter.word(table.name), owner: TableOwner(ofTable: table.name),
      isHooked: table.isHooked, drops: table.drops, digest: table.digest)
  }

  var report: OthersReport {
    OthersReport(
      tables: tables,
      chains: Family.allCases.flatMap { family in
        parts[family].map {
          OthersReport.Chains(family: family, owner: $0.owner, rules: $0.rules, digest: $0.digest)
        }
      },
      otherBackend: otherBackend.map { _, parts in parts.flatMap { $0.isEmpty ? nil : Self.digest(of: $0) } },
      sets: sets, problem: problem ?? unprintedWords ?? crowdedWords ?? largeWords)
  }

  private var crowdedWords: String? {
    Self.uncompared("too many sets without names, and maps of verdicts", of: crowdedTables)
  }

  private var largeWords: String? {
    Self.uncompared("sets without names, or maps of verdicts, with too many members", of: largeSets)
  }

  private static func uncompared(_ what: String, of tables: [String]) -> String? {
    guard !tables.isEmpty else { return nil }
    return cut("\(what), \(OthersProblem.crowded.phrase): \(tables.joined(separator: ", "))")
  }

  private var unprintedWords: String? {
    let names = Family.allCases.flatMap { family in unprintedTables[family].map { "\(family) \($0)" } }
    guard !names.isEmpty else { return nil }
    return cut(
      SafeText.escape("\(OthersProblem.unprinted.phrase): \(names.joined(separator: ", "))"))
  }

  private static func digest(of parts: [ForeignPart]) -> Digest {
    Digest(of: parts.flatMap { Array("\($0.owner?.rawValue ?? "-") \($0.digest)\n".utf8) })
  }

  var otherBackendRules: Int {
    Family.allCases.reduce(0) { $0 + (otherBackend[$1] ?? []).reduce(0) { $0 + $1.rules } }
  }

  /// Keys of those that are ours, and nobody else's to set.
  var ownPolicyKeys: Set<String> {
    Set(
      Family.allCases.flatMap { family in
        ownPolicies[family].map { OtherFilter.key(family, "\(OtherFilter.policy)/\($0)") }
      })
  }

  /// - Parameter policiesApart: a policy is one of its own, so that a release of ours may take it over; otherwise it is part
  ///   of its owner's rules.
  func all(policiesApart: Bool) -> [OtherFilter] {
    var all = tables.map { table in
      OtherFilter(
        kind: .table, family: table.family == NftablesFamily.ipv6.word ? .ipv6 : .ipv4,
        name: "\(table.family)/\(table.name)", digest: table.digest, isKnown: table.ownerWord != nil,
        isHooked: table.isHooked, drops: table.drops)
    }
    for family in Family.allCases {
      let parts =
        (otherBackend[family] ?? []).map { (OtherFilter.Kind.otherBackend, OtherFilter.otherBackend, $0) }
        + parts[family].map { (OtherFilter.Kind.rules, OtherFilter.rules, $0) }
      all += parts.compactMap { kind, place, part in
        (policiesApart && kind == .rules ? part.digestBesidePolicies : part.digest).map {
          OtherFilter(
            kind: kind, family: family, name: OtherFilter.name(of: part, in: place), digest: $0,
            asPrinted: part.asPrinted, isKnown: part.owner != nil, isHooked: true, drops: true)
        }
      }
      if policiesApart {
        all += policies[family].sorted { $0.key < $1.key }.map { place, policy in
          OtherFilter(
            kind: .rules, family: family, name: "\(OtherFilter.policy)/\(place)", digest: Digest(of: policy.utf8),
            isKnown: false, isHooked: true, drops: true)
        }
      }
      func unprinted(_ kind: OtherFilter.Kind, _ name: String, _ content: some Sequence<UInt8>) -> OtherFilter {
        OtherFilter(
          kind: kind, family: family, name: "\(name)/unprinted", digest: Digest(of: content), isKnown: false,
          isHooked: true, drops: true)
      }
      if !unprintedRules[family].isEmpty {
        all.append(unprinted(.rules, OtherFilter.rules, unprintedRules[family].flatMap(\.bytes)))
      }
      if !unprintedTables[family].isEmpty {
        let names = unprintedTables[family].joined(separator: "\n")
        all.append(unprinted(.otherBackend, OtherFilter.otherBackend, names.utf8))
      }
    }
    return all
  }
}

extension NftablesTable {
  /// Of what iptables' programs leave out or misprint of others' chains in a table of theirs; nil where they print it all.
  fileprivate var unprinted: Digest? {
    let parts = chains.filter { !OwnedNames.isOurs($0.name) }.flatMap { chain in
      let rules = chain.notable.filter { $0.isNative && $0.calls == nil }.map { "\($0.digest)" }
      let place = KernelHooks.displacement(of: chain, in: name)
      return (rules + [place].compactMap { $0 }).map { "\(chain.name) \($0)\n" }
    }
    return parts.isEmpty ? nil : Digest(of: Array("\(name) \(objects)\n\(parts.joined())".utf8))
  }
}
