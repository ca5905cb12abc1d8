internal import Core
internal import Lint
internal import Ruleset

/// The rules that Docker keeps in built-in chains, besides jumps to its own. Whatever else names one of its bridges is
/// an administrator's.
enum DockerRules {
  static func holds(_ rule: RuleView, table: String) -> Bool {
    guard rule.isClear, rule.comment == nil else { return false }
    return switch (table, rule.chain) {
    case ("filter", "FORWARD"): forwards(rule)
    case ("nat", "POSTROUTING"): leaves(rule) || isLocal(rule) || hidesItself(rule)
    case ("raw", "PREROUTING"): guardsContainer(rule)
    default: false
    }
  }

  /// `-o BR -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`, `-i BR ! -o BR -j ACCEPT`, and `-i BR -o BR` with
  /// either verdict.
  private static func forwards(_ rule: RuleView) -> Bool {
    var rest = rule
    (rest.input, rest.output, rest.states) = (nil, nil, nil)
    guard rest.isUnconditional, let output = rule.output, isBridge(output.pattern) else { return false }
    guard let input = rule.input else {
      return !output.isNegated && rule.states == [.related, .established] && rule.target == .jump("ACCEPT")
    }
    guard input.positive == output.pattern, rule.states == nil else { return false }
    return rule.target == .jump("ACCEPT") || !output.isNegated && rule.target == .jump("DROP")
  }

  /// `-s NET ! -o BR -j MASQUERADE`, or SNAT where the network has an address of its own for that.
  private static func leaves(_ rule: RuleView) -> Bool {
    var rest = rule
    (rest.source, rest.output) = (nil, nil)
    guard rest.isUnconditional, rule.source?.positive != nil, let output = rule.output else { return false }
    return output.isNegated && isBridge(output.pattern)
      && (rule.target == .jump("MASQUERADE") || rule.target == .jump("SNAT"))
  }

  /// `-o BR -m addrtype --src-type LOCAL -j MASQUERADE`, where no program of Docker's hands connections on.
  private static func isLocal(_ rule: RuleView) -> Bool {
    var rest = rule
    (rest.output, rest.opaque) = (nil, [])
    return rest.isUnconditional && rule.output?.positive.map(isBridge) == true
      && rule.opaque == [OpaqueMatch(module: "addrtype", words: ["--src-type", "LOCAL"])]
      && rule.target == .jump("MASQUERADE")
  }

  /// A container that speaks to its own published port.
  private static func hidesItself(_ rule: RuleView) -> Bool {
    guard let source = rule.source?.positive else { return false }
    return source == rule.destination?.positive && rule.destinationPorts != nil && rule.target == .jump("MASQUERADE")
  }

  /// `-d CONTAINER ! -i BR -j DROP`, so that nobody goes round its published ports.
  private static func guardsContainer(_ rule: RuleView) -> Bool {
    var rest = rule
    (rest.destination, rest.input, rest.transport, rest.destinationPorts) = (nil, nil, nil, nil)
    guard rest.isUnconditional, rule.destination?.positive != nil, let input = rule.input else { return false }
    return input.isNegated && isBridge(input.pattern) && rule.target == .jump("DROP")
  }

  /// `docker0`, or `br-` and twelve digits of the network's id.
  private static func isBridge(_ interface: InterfacePattern) -> Bool {
    if interface.isPrefix { return false }
    let name = Array(interface.name.utf8)
    return interface.name == "docker0" || interface.name == "docker_gwbridge"
      || name.count == 15 && name.starts(with: "br-".utf8) && Hex.decode(name.dropFirst(3)) != nil
  }
}
