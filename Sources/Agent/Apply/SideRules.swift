internal import Core
internal import Ruleset

/// What one side of a change wants of the kernel.
enum SideRules {
  /// The whole of every table they declare is ours.
  case exclusive(PerFamily<Ruleset>)
  /// Chains of our own beside other people's rules.
  case owned(OwnedSide)
  /// Nothing of ours.
  case nothing

  var isExclusive: Bool {
    switch self {
    case .exclusive: true
    case .owned, .nothing: false
    }
  }

  var isNothing: Bool {
    switch self {
    case .nothing: true
    case .exclusive, .owned: false
    }
  }

  var isOwned: Bool {
    switch self {
    case .owned: true
    case .exclusive, .nothing: false
    }
  }

  /// Whether anything that others filter packets with may be drift.
  var judgesOthers: Bool {
    switch self {
    case .exclusive: true
    case .owned(let side): side.deniesForeign || !side.allowed.contains("*")
    case .nothing: false
    }
  }

  /// Whether what known software keeps may be drift.
  var judgesKnownSoftware: Bool {
    switch self {
    case .exclusive: true
    case .owned(let side): side.deniesForeign
    case .nothing: false
    }
  }

  /// Built-in chains whose policy these rules set, by table.
  func policyChains(_ family: Family) -> [String: Set<String>] {
    switch self {
    case .exclusive(let rulesets):
      Dictionary(
        uniqueKeysWithValues: rulesets[family].tableNames.map { ($0, Set(BuiltInChains.chains(of: $0) ?? [])) })
    case .owned(let side): side.rules[family].policies.mapValues { Set($0.keys) }
    case .nothing: [:]
    }
  }

  /// The part of what a save program printed that is ours, as reports show it.
  func observed(_ saved: Ruleset, _ family: Family) -> Ruleset {
    switch self {
    case .exclusive: saved
    case .owned(let side): side.view(family).observed(saved)
    case .nothing: OwnedView(.none, allowed: []).observed(saved)
    }
  }
}

struct OwnedSide {
  /// As written for the whole of its tables: its lines are the bundle's.
  let policy: PerFamily<Ruleset>
  let rules: PerFamily<OwnedRules>
  let allowed: [String]
  let forwardsForeign: Bool
  /// What others have is drift when it changes, whoever they are.
  let deniesForeign: Bool

  init(
    _ policy: PerFamily<Ruleset>, allowed: [String], forwardsForeign: Bool, deniesForeign: Bool = false
  ) {
    self.policy = policy
    self.allowed = allowed
    self.forwardsForeign = forwardsForeign
    self.deniesForeign = deniesForeign
    rules = policy.map { _, ruleset in OwnedRules(ruleset, forwardsForeign: forwardsForeign) }
  }

  func view(_ family: Family) -> OwnedView { OwnedView(rules[family], allowed: allowed) }
}

/// Rules, what is known of them, and who manages the host, as a bundle or what was found says.
struct KnownRules {
  var rules: SideRules
  var sets = SetsFile.empty
  /// Nil where the kernel's settings are to stay as they are.
  var settings: SysctlFile?
  var sources: [String] = []
  /// Digest of what the host's programs print of them; nil where only the shape can be compared.
  var expected: PerFamily<Digest>?
  /// Exclusive rules in the words of the host's programs; what they printed last is the best guess there is.
  var printed: PerFamily<Ruleset>?
  /// Foreign rules that were moved below our hooks.
  var taken = PerFamily<[TakenRule]>(ipv4: [], ipv6: [])
  /// What each table held before it became wholly ours, for giving it up again; owned rules that came after remember it.
  var found: PerFamily<Ruleset>?
  /// A copy of what was found on the host: nothing in it is ours to delete rule by rule.
  var isCopy = false
  /// Of a copy: tables that were wholly ours when it was taken.
  var ownTables = PerFamily<Set<String>>(ipv4: [], ipv6: [])

  static let nothing = KnownRules(
    rules: .nothing, settings: .empty, expected: PerFamily { _ in Ruleset().digest })

  var beside: BesideRules { BesideRules(sets: sets, settings: settings ?? .empty) }

  /// What was found on the host, in some of its tables.
  ///
  /// - Parameter old: whose sets its rules may name, and whose settings were in force; nil when that cannot be read, and
  ///   settings are better left as they are.
  static func copy(_ found: PerFamily<Ruleset>, of old: KnownRules?) -> KnownRules {
    KnownRules(
      rules: .exclusive(found), sets: old?.sets ?? .empty, settings: old?.settings,
      expected: found.map { _, ruleset in ruleset.digest }, isCopy: true)
  }

  /// Giving exclusive rules up puts back what they replaced. Owned ones do not have those tables any more: there it waits
  /// for the removal.
  func givingUp(_ old: KnownRules?) -> KnownRules {
    guard case .nothing = rules, let old, let found = old.found else { return self }
    var known = self
    guard old.rules.isExclusive else {
      known.found = found
      return known
    }
    known.found = nil
    known.rules = .exclusive(found)
    known.expected = found.map { _, ruleset in ruleset.digest }
    known.isCopy = true
    // Where the safe policy stands in for rules that took more tables, those have to be emptied again to go back to it.
    known.ownTables = old.ownTables
    return known
  }

  /// Tables that are wholly ours under these rules; nil in owned mode.
  var exclusiveTables: PerFamily<Set<String>>? {
    switch rules {
    case .exclusive(let rulesets): isCopy ? nil : rulesets.map { _, ruleset in Set(ruleset.tableNames) }
    case .owned, .nothing: nil
    }
  }

  /// Built-in chains whose policy these rules set, by table.
  func policyChains(_ family: Family) -> [String: Set<String>] { isCopy ? [:] : rules.policyChains(family) }
}

/// Built-in policies: table, chain, ACCEPT or DROP.
typealias Policies = [String: [String: String]]

extension Ruleset {
  var policies: Policies {
    var all: Policies = [:]
    for table in tables {
      for chain in table.chains { all[table.name, default: [:]][chain.name] = chain.policy }
    }
    return all
  }

  /// Only built-in chains and their policies.
  var withoutRules: Ruleset {
    Ruleset(
      tables: tables.map { table in
        RuleTable(
          name: table.name,
          chains: table.chains.filter { $0.policy != nil }.map { RuleChain(name: $0.name, policy: $0.policy) })
      })
  }

  /// With the tables, chains and rules of another one that this one has not.
  func merged(with other: Ruleset) -> Ruleset {
    var merged = self
    for table in other.tables {
      guard let at = merged.tables.firstIndex(where: { $0.name == table.name }) else {
        merged.tables.append(table)
        continue
      }
      for chain in table.chains {
        guard let place = merged.tables[at].chains.firstIndex(where: { $0.name == chain.name }) else {
          merged.tables[at].chains.append(chain)
          continue
        }
        let known = Set(merged.tables[at].chains[place].rules)
        merged.tables[at].chains[place].rules += chain.rules.filter { !known.contains($0) }
      }
    }
    return merged
  }
}
