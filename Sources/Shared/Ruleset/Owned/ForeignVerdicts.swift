internal import Core

/// What the rules of one table may do with a packet. Chains are looked through once each.
struct ForeignVerdicts {
  /// Chains may call each other deeper than this only in a text that no kernel printed.
  private static let maximumDepth = 64

  private let chains: [String: RuleChain]
  private var accepting: [String: Bool] = [:]
  private var dropping: [String: Bool] = [:]

  init(_ table: RuleTable) {
    chains = Dictionary(table.chains.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether a packet may leave the hooked chain by this rule without having met our rules, other than by being denied.
  ///
  /// - Parameter policy: what happens to a packet that leaves the chain by RETURN.
  mutating func mayBypass(_ rule: Rule, policy: String?) -> Bool {
    let target = RuleShape(rule).target
    return target == .jump("RETURN") ? policy != "DROP" : mayAccept(target, depth: 0)
  }

  private mutating func mayAccept(_ target: RuleShape.Target, depth: Int) -> Bool {
    switch target {
    case .none: return false
    case .goTo, .unclear: return true
    case .jump(let name):
      switch name {
      case "DROP", "REJECT", "RETURN": return false
      default:
        if OwnedNames.isOurs(name) || Self.continuing.contains(name) { return false }
        return mayAccept(chain: name, depth: depth + 1)
      }
    }
  }

  private mutating func mayAccept(chain name: String, depth: Int) -> Bool {
    if let known = accepting[name] { return known }
    guard let chain = chains[name], depth <= Self.maximumDepth else { return true }
    // Until it is known: a chain that calls itself is nothing to rely on.
    accepting[name] = true
    var result = false
    for rule in chain.rules where !result { result = mayAccept(RuleShape(rule).target, depth: depth) }
    accepting[name] = result
    return result
  }

  /// Whether the rule bans senders, so that accepting above it would readmit them.
  mutating func isBan(_ rule: Rule) -> Bool {
    let shape = RuleShape(rule)
    guard case .jump(let name) = shape.target else { return false }
    if name == "DROP" || name == "REJECT" { return shape.restrictsSource }
    guard chains[name] != nil, !OwnedNames.isOurs(name) else { return false }
    // Docker, Kubernetes, ufw and their like keep defaults in their chains, not lists of the banned; fail2ban may be
    // told to use DOCKER-USER.
    let owner = ForeignChains.owner(of: name)
    guard owner == nil || owner == .fail2ban || name == OwnedRules.containersHook else { return false }
    // As Docker makes it, that chain only returns, and bans nobody.
    if name == OwnedRules.containersHook {
      var bans = false
      for rule in chains[name]?.rules ?? [] where !rule.callsOurs { bans = bans || mayDrop(rule) }
      guard bans else { return false }
    }
    return !mayAccept(chain: name, depth: 0)
  }

  /// Whether rules in this chain may keep a packet from passing.
  mutating func mayDrop(chain name: String, depth: Int = 0) -> Bool {
    if let known = dropping[name] { return known }
    guard let chain = chains[name], depth <= Self.maximumDepth else { return true }
    dropping[name] = true
    var result = false
    for rule in chain.rules where !result { result = mayDrop(rule, depth: depth) }
    dropping[name] = result
    return result
  }

  mutating func mayDrop(_ rule: Rule, depth: Int = 0) -> Bool {
    switch RuleShape(rule).target {
    case .none: return false
    case .unclear: return true
    case .jump(let name), .goTo(let name):
      if name == "ACCEPT" || name == "RETURN" || Self.continuing.contains(name) { return false }
      return mayDrop(chain: name, depth: depth + 1)
    }
  }

  /// Targets after which the next rule is tried.
  private static let continuing: Set<String> = [
    "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
    "LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE",
    "TTL", "ULOG",
  ]
}
