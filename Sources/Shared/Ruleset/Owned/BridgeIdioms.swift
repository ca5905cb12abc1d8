internal import Core

/// What software that joins containers or guests by bridges writes into the built-in chains, besides the calls of its own
/// chains: which is his is told by its bridge. Only where he has chains as well.
struct BridgeIdioms {
  private let owners: Set<ForeignOwner>
  private let bridges: [String: ForeignOwner]

  private static let builders: Set<ForeignOwner> = [.docker, .libvirt, .cni]
  private static let chains: Set<String> = ["FORWARD", "PREROUTING", "POSTROUTING"]

  init(_ ruleset: Ruleset) {
    var owners: Set<ForeignOwner> = []
    var bridges: [String: ForeignOwner] = [:]
    for table in ruleset.tables {
      for (chain, owner) in table.ownedChains {
        owners.insert(owner)
        // What people write in there for themselves names their own interfaces.
        guard Self.builders.contains(owner), chain != OwnedRules.containersHook else { continue }
        for rule in table[chain: chain]?.rules ?? [] {
          for interface in Self.interfaces(of: rule) where bridges[interface] == nil { bridges[interface] = owner }
        }
      }
    }
    self.owners = owners
    self.bridges = bridges
  }

  /// - Parameter chain: a built-in one.
  func owner(of rule: Rule, in chain: String, _ table: String) -> ForeignOwner? {
    guard !owners.isDisjoint(with: Self.builders), Self.chains.contains(chain) else { return nil }
    let interfaces = Self.interfaces(of: rule)
    guard interfaces.isEmpty else {
      let found = interfaces.compactMap(owner(ofBridge:))
      return found.count == interfaces.count ? found.first : nil
    }
    // The networks behind a bridge go out with the host's address. That filters nothing.
    guard table == "nat", chain == "POSTROUTING", RuleShape(rule).target == .jump("MASQUERADE"),
      RuleShape(rule).restrictsSource
    else { return nil }
    return owners.intersection(Self.builders).min()
  }

  /// Whoever sets policies sets these.
  func ownerOfPolicy(of chain: String, _ table: String) -> ForeignOwner? {
    guard table == "filter" else { return nil }
    let whole: [ForeignOwner] = [.ufw, .firewalld]
    return whole.first(where: owners.contains) ?? (chain == "FORWARD" && owners.contains(.docker) ? .docker : nil)
  }

  private func owner(ofBridge name: String) -> ForeignOwner? {
    if let owner = bridges[name] { return owner }
    let owner: ForeignOwner? =
      if name == "docker0" || name == "docker_gwbridge" || name.hasPrefix("br-") {
        .docker
      } else if name.hasPrefix("virbr") {
        .libvirt
      } else if name.hasPrefix("cni") {
        .cni
      } else {
        nil
      }
    return owner.flatMap { owners.contains($0) ? $0 : nil }
  }

  private static func interfaces(of rule: Rule) -> [String] {
    guard let words = try? rule.words() else { return [] }
    return zip(words, words.dropFirst()).compactMap { option, name in
      !option.isQuoted && (option.says("-i") || option.says("-o")) ? name.text : nil
    }
  }
}
