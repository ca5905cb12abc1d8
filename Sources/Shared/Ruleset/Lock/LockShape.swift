/// What a profile must look like so that loading it can only tighten, and so that no old TCP flow outlives it.
enum LockShape {
  /// Of old flows the next packet would make a new entry, in whichever direction it happens to go. Every chain has this
  /// line, and nothing that knows a packet only by its connection's state stands above it.
  static let nonSYN = """
    -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP
    """

  private static let targets: Set<String> = ["RETURN", "DROP", "LOG", "NFLOG"]

  static func check(_ profile: Ruleset) throws(LockLayer.Refused) {
    guard profile.tables.count == 1, let table = profile[table: LockLayer.table] else {
      throw LockLayer.Refused("it may hold table \(LockLayer.table) and no other")
    }
    for name in LockLayer.hooked where table[chain: name] == nil {
      throw LockLayer.Refused("chain \(name) is missing")
    }
    for chain in table.chains {
      guard LockLayer.hooked.contains(chain.name) else {
        throw LockLayer.Refused("chain \(chain.name): only \(LockLayer.hooked.joined(separator: ", ")) may be there")
      }
      guard chain.policy == "ACCEPT" else {
        throw LockLayer.Refused("chain \(chain.name): its policy is not loaded, so it must be ACCEPT")
      }
      try check(chain)
    }
  }

  private static func check(_ chain: RuleChain) throws(LockLayer.Refused) {
    guard let line = nonSYNLine(of: chain) else {
      throw LockLayer.Refused("chain \(chain.name): it lacks the rule `-A \(chain.name) \(nonSYN)`")
    }
    for (index, rule) in chain.rules.enumerated() {
      let place = "chain \(chain.name), rule \(index + 1)"
      guard rule.canBeFedBack, let parts = rule.parts() else {
        throw LockLayer.Refused("\(place): its words are not in order", line: rule.line)
      }
      guard case .jump(let target) = RuleShape(rule).target, targets.contains(target) else {
        throw LockLayer.Refused(
          "\(place): it must end in one of \(targets.sorted().joined(separator: ", "))", line: rule.line)
      }
      // A set's members can be changed by whoever may change sets.
      guard !parts.contains(where: { $0.isMatch("set") }) else {
        throw LockLayer.Refused("\(place): it names an ipset", line: rule.line)
      }
      if index < line, target == "RETURN", let fault = looseness(parts) {
        throw LockLayer.Refused("\(place), above the rule against packets without SYN: it \(fault)", line: rule.line)
      }
    }
  }

  /// Its place in a chain, whatever the chain is called.
  static func nonSYNLine(of chain: RuleChain) -> Int? {
    chain.rules.firstIndex { $0.afterChain.dropFirst().elementsEqual(nonSYN.utf8) }
  }

  /// Why old TCP flows could live on by this rule.
  private static func looseness(_ parts: [RulePart]) -> String? {
    if parts.contains(where: \.isLoopback) { return nil }
    guard let name = parts.first(where: { CoreOption($0.option) == .protocolName }), !name.isNegated else {
      return "returns packets of every protocol"
    }
    guard FlowPattern.mayBeTCP(name.value) else { return nil }
    if parts.contains(where: { $0.isMatch("conntrack") || $0.isMatch("state") }) {
      return "returns TCP by its connection's state"
    }
    return parts.contains(where: namesEnd) ? nil : "returns TCP from and to everybody"
  }

  /// An address or a port.
  private static func namesEnd(_ part: RulePart) -> Bool {
    guard !part.isNegated else { return false }
    switch CoreOption(part.option) {
    case .source, .destination: return part.value.flatMap { AddressPrefix($0) }.map { !$0.isWhole } ?? false
    case .input, .output, .protocolName, .jump, .match, .fragment: return false
    case nil: return FlowPattern.portOptions.contains(part.option) && part.value != "0:65535"
    }
  }
}

extension RulePart {
  fileprivate func isMatch(_ name: String) -> Bool { CoreOption(option) == .match && value == name }

  /// Only for packets that never leave the host.
  var isLoopback: Bool {
    let core = CoreOption(option)
    return (core == .input || core == .output) && !isNegated && value == "lo"
  }
}
