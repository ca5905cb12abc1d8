package import Core

extension Ruleset {
  /// Whose chains these are, told by their names; ours do not count. Sorted.
  package var owners: [ForeignOwner] {
    Set(tables.flatMap { $0.ownedChains.map(\.owner) }).sorted()
  }

  /// The chains of one owner, by table.
  package func chains(of owner: ForeignOwner) -> [(table: String, chain: String)] {
    ordered().tables.flatMap { table in
      table.ownedChains.filter { $0.owner == owner }.map { (table.name, $0.chain) }
    }
  }
}

extension RuleTable {
  var ownedChains: [(chain: String, owner: ForeignOwner)] {
    let hasFirewalld = chains.contains { ForeignChains.owner(of: $0.name) == .firewalld }
    return chains.filter { !isOnlyPrepared($0.name) }.compactMap { chain in
      let owner = ForeignChains.owner(of: chain.name) ?? (hasFirewalld ? ForeignChains.zoneOwner(of: chain.name) : nil)
      return owner.map { (chain.name, $0) }
    }
  }
}

extension RuleTable {
  /// Whether a chain of Docker's is there only because we made it for our hook (docs/adr/0007-docker-at-boot.md): it
  /// holds nothing else, and nobody calls it, as Docker does from the moment it starts.
  func isOnlyPrepared(_ name: String) -> Bool {
    guard self.name == "filter", name == OwnedRules.containersHook, let chain = self[chain: name], !chain.rules.isEmpty,
      chain.rules.allSatisfy(\.callsOurs)
    else { return false }
    return !chains.flatMap(\.rules).contains { rule in
      switch RuleShape(rule).target {
      case .jump(name), .goTo(name): true
      case .jump, .goTo, .none, .unclear: false
      }
    }
  }
}

/// Software that is known by how it names its chains.
enum ForeignChains {
  static func owner(of chain: String) -> ForeignOwner? {
    if OwnedNames.isOurs(chain) || BuiltInChains.allNames.contains(chain) { return nil }
    if let known = names[chain] { return known }
    if let known = prefixes.first(where: { chain.hasPrefix($0.prefix) }) { return known.owner }
    return isFirewalld(chain) ? .firewalld : nil
  }

  private static let names: [String: ForeignOwner] = [
    "DOCKER": .docker, "WEAVE": .weave, "ts-input": .tailscale, "ts-forward": .tailscale, "ts-postrouting": .tailscale,
  ]

  private static let prefixes: [(prefix: String, owner: ForeignOwner)] = [
    ("DOCKER-", .docker), ("CNI-", .cni), ("KUBE-", .kubernetes), ("cali-", .calico),
    ("f2b-", .fail2ban), ("fail2ban-", .fail2ban), ("ufw-", .ufw), ("ufw6-", .ufw), ("LIBVIRT_", .libvirt),
    ("FWDI_", .firewalld), ("FWDO_", .firewalld), ("FLANNEL-", .flannel), ("NETAVARK-", .podman),
    ("NETAVARK_", .podman), ("WEAVE-", .weave), ("CILIUM_", .cilium),
    // What it renames its chains to, while it makes new ones.
    ("OLD_CILIUM_", .cilium),
  ]

  /// fail2ban's ipset actions make no chain: `-m set --match-set f2b-sshd src -j REJECT` stands in a built-in one. Whatever
  /// else names such a set, as an accept or a negation would, is nobody's.
  static func owner(ofBan rule: Rule) -> ForeignOwner? {
    guard rule.bytes.withUnsafeBufferPointer({ $0.holds("--match-set f2b-") }), let words = try? rule.words(),
      let index = words.firstIndex(where: { !$0.isQuoted && $0.says("--match-set") }), index + 2 < words.count,
      !words.contains(where: { !$0.isQuoted && $0.says("!") }), words[index + 1].text.hasPrefix("f2b-"),
      words[index + 2].says("src"), !words[(index + 1)...].contains(where: { $0.says("--match-set") })
    else { return nil }
    let target = RuleShape(rule).target
    return target == .jump("DROP") || target == .jump("REJECT") ? .fail2ban : nil
  }

  /// `INPUT_ZONES`, `FORWARD_IN_ZONES_SOURCE`, `PREROUTING_direct`, `OUTPUT_POLICIES_pre` and their like.
  private static func isFirewalld(_ chain: String) -> Bool {
    guard let builtIn = BuiltInChains.allNames.first(where: { chain.hasPrefix($0 + "_") }) else { return false }
    let rest = chain.dropFirst(builtIn.count + 1)
    return rest == "direct" || rest == "ZONES" || rest == "ZONES_SOURCE" || rest == "POLICIES_pre"
      || rest == "POLICIES_post" || rest.hasPrefix("IN_ZONES") || rest.hasPrefix("OUT_ZONES")
  }

  /// The chains of firewalld's zones, such as `IN_public_allow`. They might be anybody's where there is nothing else of
  /// firewalld.
  static func zoneOwner(of chain: String) -> ForeignOwner? {
    ["IN_", "FWD_", "PRE_", "POST_"].contains { chain.hasPrefix($0) } ? .firewalld : nil
  }
}
