internal import Core
internal import Ruleset

/// Like `RulesetShape`, for chains of our own: what must survive although a program may print rules in other words.
enum OwnedShape {
  /// The first place where our part of a save is not shaped like `intended`, in words, or nil when there is none.
  static func difference(intended: OwnedRules, loaded: Ruleset) -> String? {
    for table in intended.tables {
      let found = loaded[table: table.name]
      for chain in table.chains {
        let place = "chain \(OwnedNames.shown(chain.name)) of table \(table.name)"
        guard let other = found?[chain: chain.name] else { return "our \(place) is missing" }
        guard chain.rules.count == other.rules.count else {
          return "our \(place) has \(other.rules.count) rules, not \(chain.rules.count)"
        }
      }
    }
    for hook in intended.hooks where !hook.isForeign {
      let rules = loaded[table: hook.table]?[chain: hook.chain]?.rules ?? []
      let target = Array(hook.target.utf8)
      guard rules.contains(where: { $0.bytes.firstRange(of: target) != nil }) else {
        return "chain \(hook.chain) of table \(hook.table) does not call ours"
      }
    }
    for (table, chains) in intended.policies {
      for (chain, policy) in chains {
        let found = loaded[table: table]?[chain: chain]?.policy ?? "ACCEPT"
        guard found == policy else { return "chain \(chain) of table \(table) has policy \(found), not \(policy)" }
      }
    }
    for table in loaded.tables {
      let known = Set((intended.tables.first { $0.name == table.name }?.chains ?? []).map(\.name))
      if let extra = table.chains.first(where: { OwnedNames.isOurs($0.name) && !known.contains($0.name) }) {
        return "our chain \(SafeText.escape(OwnedNames.shown(extra.name))) of table \(table.name) is there, "
          + "though the rules declare none"
      }
    }
    return nil
  }
}
