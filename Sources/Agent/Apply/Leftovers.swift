internal import Core
internal import Ruleset

/// What the other sides of a change may have left in the kernel, wholly or in part, and what was there before any.
struct Leftovers {
  /// Tables that an exclusive side declared.
  private(set) var tables = PerFamily<Set<String>>(ipv4: [], ipv6: [])
  /// Exclusive rules as printed: in owned mode they go one by one.
  private(set) var replaced = PerFamily<Ruleset>(ipv4: Ruleset(), ipv6: Ruleset())
  /// Chains of our own may be there.
  private(set) var holdsOwned = false
  private var policyChains = PerFamily<[String: Set<String>]>(ipv4: [:], ipv6: [:])
  private var found: PerFamily<Policies>

  /// - Parameter found: the built-in policies before our first bundle; what they do not name was ACCEPT.
  init(of others: [KnownRules], found: PerFamily<Policies>) {
    self.found = found
    for other in others { add(other) }
  }

  private mutating func add(_ other: KnownRules) {
    for family in Family.allCases {
      switch other.rules {
      case .exclusive(let rulesets):
        if other.isCopy {
          // A copy may have been taken of rules that held ours; its other tables are their owners'.
          holdsOwned = true
          tables[family].formUnion(other.ownTables[family])
        } else {
          tables[family].formUnion(rulesets[family].tableNames)
          replaced[family] = replaced[family].merged(with: other.printed?[family] ?? rulesets[family])
        }
      case .owned: holdsOwned = true
      case .nothing: break
      }
      policyChains[family].merge(other.policyChains(family)) { $0.union($1) }
    }
  }

  /// What to set the policies to that a side sets no more.
  func policies(_ family: Family, besides wanted: Policies, in saved: Ruleset) -> Policies {
    var policies: Policies = [:]
    for (table, chains) in policyChains[family] where saved[table: table] != nil {
      for chain in chains where wanted[table]?[chain] == nil {
        policies[table, default: [:]][chain] = found[family][table]?[chain] ?? "ACCEPT"
      }
    }
    return policies
  }
}
