package import Core
internal import Policy
internal import Ruleset

extension TypedRule {
  /// The rule as the language makes it, in the words and the order of iptables-save.
  package func text(chain: String, _ family: Family) -> [UInt8] {
    var words = "-A \(chain)"
    for (option, prefix) in [("-s", source), ("-d", destination)] {
      if let prefix { words += " \(option) \(prefix.ruleText)" }
    }
    if let input { words += " -i \(input)" }
    if let output { words += " -o \(output)" }
    switch transport {
    case .tcp(let ports): words += Self.words("tcp", ports)
    case .udp(let ports): words += Self.words("udp", ports)
    case .named(let name): words += " -p \(name)"
    case .icmp(let type, let family):
      words +=
        family == .ipv4
        ? " -p icmp -m icmp --icmp-type \(type.text)" : " -p ipv6-icmp -m icmp6 --icmpv6-type \(type.text)"
    case nil: break
    }
    if isLocal { words += " -m addrtype --dst-type LOCAL" }
    switch share {
    case .nth(let every): words += " -m statistic --mode nth --every \(every) --packet 0"
    case .random(let probability): words += " -m statistic --mode random --probability \(probability)"
    case nil: break
    }
    if !states.isEmpty {
      let written = State.allCases.filter(states.contains).map { $0.rawValue.uppercased() }
      words += " -m conntrack --ctstate " + written.joined(separator: ",")
    }
    if let rate {
      words += " -m limit --limit \(rate.count)/\(rate.unit.short)" + (rate.burst.map { " --limit-burst \($0)" } ?? "")
    }
    if let comment { words += " -m comment --comment " + Self.printed(comment) }
    return Array((words + " -j " + target(family)).utf8)
  }

  private func target(_ family: Family) -> String {
    switch verdict {
    case .accept, .exempt: "ACCEPT"
    case .drop: "DROP"
    case .reject(let rejection): "REJECT --reject-with \(rejection.option(family))"
    case .log(let prefix, let level):
      "LOG" + (prefix.map { " --log-prefix " + Self.printed($0) } ?? "")
        + (level.map { " --log-level \($0.rawValue)" } ?? "")
    case .masquerade: "MASQUERADE"
    case .snat(let to): "SNAT --to-source \(to)"
    case .dnat(let to, _): "DNAT --to-destination \(to)"
    case .redirect(let port): "REDIRECT --to-ports \(port)"
    }
  }

  private static func words(_ name: String, _ ports: [ClosedRange<UInt16>]) -> String {
    let texts = ports.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound):\($0.upperBound)" }
    return texts.count == 1
      ? " -p \(name) -m \(name) --dport \(texts[0])"
      : " -p \(name) -m multiport --dports \(texts.joined(separator: ","))"
  }

  /// As iptables-save prints text: in quotes when there is anything in it but letters, digits, `_` and `-`.
  static func printed(_ text: String) -> String {
    text.isBareRuleWord ? text : "\"\(text)\""
  }

  /// What the language takes as a comment or prefix, and all programs print alike.
  static func isPlain(_ text: String, atMost limit: Int) -> Bool {
    (1...limit).contains(text.utf8.count) && !text.hasPrefix("-")
      && text.utf8.allSatisfy { (0x20...0x7e).contains($0) && !"\"\\'".utf8.contains($0) }
  }
}
