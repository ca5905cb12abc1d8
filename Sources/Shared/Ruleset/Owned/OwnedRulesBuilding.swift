extension OwnedRules {
  /// A chain of the filter table with this name holds what is for containers: it is called from Docker's own chain for
  /// that, because published ports never pass INPUT.
  package static let containersChain = "CONTAINERS"
  static let containersHook = "DOCKER-USER"

  /// - Parameters:
  ///   - policy: as written for the whole of its tables.
  ///   - forwardsForeign: what our rules for forwarded packets do not decide goes on to other people's, and the
  ///     policy of FORWARD is left as it is.
  package init(_ policy: Ruleset, forwardsForeign: Bool) {
    var builder = OwnedRulesBuilder(forwardsForeign: forwardsForeign)
    for table in policy.tables { builder.add(table) }
    self.init(
      tables: Ruleset(tables: builder.tables).ordered().tables,
      hooks: builder.hooks.sorted { bytewise($0.table + " " + $0.chain, $1.table + " " + $1.chain) },
      policies: builder.policies)
  }
}

private struct OwnedRulesBuilder {
  let forwardsForeign: Bool
  var tables: [RuleTable] = []
  var hooks: [OwnedRules.Hook] = []
  var policies: [String: [String: String]] = [:]

  mutating func add(_ table: RuleTable) {
    let builtIn = BuiltInChains.chains(of: table.name) ?? []
    var names: [String: String] = [:]
    for chain in table.chains where !builtIn.contains(chain.name) {
      names[chain.name] =
        table.name == "filter" && chain.name == OwnedRules.containersChain
        ? OwnedNames.builtIn(chain.name) : OwnedNames.user(chain.name)
    }
    var ours = RuleTable(name: table.name)
    for chain in table.chains {
      if builtIn.contains(chain.name) {
        ours.chains += self.builtIn(chain, in: table.name, names)
      } else if let name = names[chain.name] {
        ours.chains.append(
          RuleChain(name: name, policy: nil, rules: chain.rules.map { renamed($0, into: name, names) }))
        if name == OwnedNames.builtIn(OwnedRules.containersChain) {
          hook(table.name, OwnedRules.containersHook, name, isForeign: true)
        }
      }
    }
    if !ours.chains.isEmpty { tables.append(ours) }
  }

  private mutating func hook(_ table: String, _ chain: String, _ target: String, isForeign: Bool) {
    hooks.append(OwnedRules.Hook(table: table, chain: chain, target: target, isForeign: isForeign))
  }

  private mutating func builtIn(_ chain: RuleChain, in table: String, _ names: [String: String]) -> [RuleChain] {
    let isLeftToOthers = forwardsForeign && table == "filter" && chain.name == "FORWARD"
    if !isLeftToOthers, let policy = chain.policy { policies[table, default: [:]][chain.name] = policy }
    let drops = chain.policy == "DROP" && !isLeftToOthers
    guard drops || !chain.rules.isEmpty else { return [] }
    let outer = OwnedNames.builtIn(chain.name)
    hook(table, chain.name, outer, isForeign: false)
    let drop = Rule(text: Array("-A \(outer) -j DROP".utf8))
    guard drops, chain.rules.contains(where: Self.mayLeave) else {
      let rules = chain.rules.map { renamed($0, into: outer, names) }
      return [RuleChain(name: outer, policy: nil, rules: rules + (drops ? [drop] : []))]
    }
    // What leaves the policy's chain early meets its default all the same, not the rules of other people.
    let inner = OwnedNames.inner(chain.name)
    let jump = Rule(text: Array("-A \(outer) -j \(inner)".utf8))
    return [
      RuleChain(name: outer, policy: nil, rules: [jump, drop]),
      RuleChain(name: inner, policy: nil, rules: chain.rules.map { renamed($0, into: inner, names) }),
    ]
  }

  /// Whether a packet may leave the chain without having met all its rules, and undecided.
  private static func mayLeave(_ rule: Rule) -> Bool {
    switch RuleShape(rule).target {
    case .goTo, .unclear: true
    case .jump(let target): target == "RETURN"
    case .none: false
    }
  }

  private func renamed(_ rule: Rule, into chain: String, _ names: [String: String]) -> Rule {
    guard !names.isEmpty else { return rule.moved(into: chain) }
    // The parser of policies took these words apart before, so they are in order.
    guard let words = try? rule.words(), words.count > 1 else { return rule }
    var renamed = rule
    for (option, value) in zip(words, words.dropFirst()).reversed() where RuleShape.isJump(option) && !value.isQuoted {
      if let name = names[value.text] { renamed = renamed.replacing(value.range, with: name) }
    }
    return renamed.replacing(words[1].range, with: chain)
  }
}

extension Rule {
  /// The same for another chain, for rules that jump to none of ours: most of a large policy.
  fileprivate func moved(into chain: String) -> Rule {
    let name = bytes.dropFirst(3).drop { $0 == space }
    let rest = name[(name.firstIndex(of: space) ?? name.endIndex)...]
    var text: [UInt8] = []
    text.reserveCapacity(4 + chain.utf8.count + rest.count)
    text += "-A ".utf8
    text += chain.utf8
    text += rest
    return Rule(text: text, line: line)
  }
}
