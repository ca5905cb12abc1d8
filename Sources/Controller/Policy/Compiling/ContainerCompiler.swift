internal import Core
internal import Ruleset

/// The chain of a host's `containers:`.
///
/// Docker translates a published port before that chain sees the packet, so a port is matched as the client asked for it
/// (conntrack's original destination). An accept returns: Docker's own rules then decide.
enum ContainerCompiler {
  /// What an item becomes in one family.
  struct Rules: Sendable {
    let texts: [String]
    /// No packet of the family comes to what stands behind it.
    let takesEverything: Bool
  }

  /// Docker's default bridge.
  private static let bridge = "docker0"
  private static let chain = ContainerRules.chain

  /// Answers first: they are most packets, and what is established was judged when it began.
  static let answers = "-A \(chain) -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"

  static func rules(_ item: ContainerRules.Item, _ compiler: inout MatchCompiler) -> PerFamily<Rules> {
    let texts = compiler.texts(item.match, in: .forward)
    if item.verdict == .accept { compiler.refuseHeaders(item.match, texts) }
    return texts.map { family, texts in
      let rules = texts.flatMap { text in
        var text = text
        text.comment = item.match.comment
        return Self.rules(item.verdict, text, family)
      }
      return Rules(texts: rules, takesEverything: texts.contains(MatchText()))
    }
  }

  private static func rules(_ verdict: ContainerRules.Verdict, _ text: MatchText, _ family: Family) -> [String] {
    // One rule for each range: conntrack takes one at a time.
    let ports = text.modules.compactMap(Self.ports).first ?? []
    var bare = text
    bare.modules = text.modules.filter { Self.ports($0) == nil }
    guard !ports.isEmpty else { return rules(verdict, bare, nil, family) }
    return ports.flatMap { rules(verdict, bare, $0, family) }
  }

  private static func rules(
    _ verdict: ContainerRules.Verdict, _ text: MatchText, _ port: String?, _ family: Family
  ) -> [String] {
    let portMatch = port.map { " --ctorigdstport \($0) --ctdir ORIGINAL" } ?? ""
    switch verdict {
    case .accept:
      return [text.with(portMatch.isEmpty ? nil : "-m conntrack\(portMatch)").rule(in: chain, target: "RETURN")]
    case .drop, .reject:
      // Only what comes from outside to a container: what containers ask of others passes this chain too.
      let target = verdict == .drop ? "DROP" : reject(text, family)
      var routed = text
      routed.output = bridge
      return [
        outside(text.with("-m conntrack --ctstate DNAT\(portMatch)"), target),
        outside(routed.with(portMatch.isEmpty ? nil : "-m conntrack\(portMatch)"), target),
      ]
    }
  }

  private static func outside(_ text: MatchText, _ target: String) -> String {
    var text = text
    if text.input.isEmpty {
      text.input = bridge
      text.isInputNegated = true
    }
    return text.rule(in: chain, target: target)
  }

  /// In the words of iptables-save.
  private static func reject(_ text: MatchText, _ family: Family) -> String {
    let rejection: Rejection = text.transport == "tcp" ? .tcpReset : .portUnreachable
    return "REJECT --reject-with \(rejection.option(family))"
  }

  /// The ranges of a match on destination ports, or nil for any other match.
  private static func ports(_ module: String) -> [String]? {
    for option in [" --dports ", " --dport "] {
      guard let range = module.firstRange(of: option) else { continue }
      return module[range.upperBound...].split(separator: ",").map(String.init)
    }
    return nil
  }
}
