package import Core

/// What one owner has in a family's rules, or what nobody known has.
package struct ForeignPart: Hashable, Sendable {
  /// Nil for what nobody known has.
  package let owner: ForeignOwner?
  package let rules: Int
  /// Of his chains, of the rules elsewhere that call them or name his bridges, and of policies other than ACCEPT.
  package let digest: Digest
  /// The same without policies; nil where there is nothing else.
  package let digestBesidePolicies: Digest?
}

extension Ruleset {
  /// What is not ours, by owner: known ones by name, then the rest. Owners without rules or chains are left out.
  ///
  /// - Parameter ours: built-in chains whose policy is ours, by table.
  package func foreignParts(besidePolicies ours: [String: Set<String>] = [:]) -> [ForeignPart] {
    var parts: [ForeignOwner?: Part] = [:]
    let idioms = BridgeIdioms(self)
    for table in ordered().tables {
      let owned = Dictionary(table.ownedChains.map { ($0.chain, $0.owner) }) { first, _ in first }
      for chain in table.chains where !OwnedNames.isOurs(chain.name) && !table.isOnlyPrepared(chain.name) {
        let owner = owned[chain.name]
        // A built-in chain is nobody's; another is, even without rules.
        if chain.policy == nil { parts[owner, default: Part()].add(chain.declaration.utf8, table.name) }
        if let policy = chain.policy, policy != "ACCEPT", ours[table.name]?.contains(chain.name) != true {
          let setter = idioms.ownerOfPolicy(of: chain.name, table.name)
          parts[setter, default: Part()].addPolicy("\(chain.name) \(policy)".utf8, table.name)
        }
        for rule in chain.rules where !rule.callsOurs {
          let caller =
            owner ?? (owned.isEmpty ? nil : RuleShape(rule).called.flatMap { owned[$0] })
            ?? idioms.owner(of: rule, in: chain.name, table.name)
            ?? (chain.policy == nil ? nil : ForeignChains.owner(ofBan: rule))
          parts[caller, default: Part()].add(rule.bytes, table.name)
          parts[caller, default: Part()].rules += 1
        }
      }
    }
    return parts.map { owner, part in
      ForeignPart(
        owner: owner, rules: part.rules, digest: part.content.finish(),
        digestBesidePolicies: part.isOnlyPolicies ? nil : part.besidePolicies.finish())
    }.sorted { ($0.owner?.rawValue ?? "~") < ($1.owner?.rawValue ?? "~") }
  }

  /// Policies other than ACCEPT that are not ours, by table and chain: `filter/FORWARD`.
  package func foreignPolicies(besidePolicies ours: [String: Set<String>]) -> [String: String] {
    var found: [String: String] = [:]
    for table in tables {
      for chain in table.chains {
        guard let policy = chain.policy, policy != "ACCEPT", ours[table.name]?.contains(chain.name) != true else {
          continue
        }
        found["\(table.name)/\(chain.name)"] = policy
      }
    }
    return found
  }

  private struct Part {
    var rules = 0
    var content = DigestBuilder()
    var besidePolicies = DigestBuilder()
    var isOnlyPolicies = true

    mutating func add(_ line: some Sequence<UInt8>, _ table: String) {
      let line = Array("\(table) ".utf8) + Array(line) + [newline]
      content.update(line)
      besidePolicies.update(line)
      isOnlyPolicies = false
    }

    mutating func addPolicy(_ line: some Sequence<UInt8>, _ table: String) {
      content.update(Array("\(table) ".utf8) + Array(line) + [newline])
    }
  }
}
