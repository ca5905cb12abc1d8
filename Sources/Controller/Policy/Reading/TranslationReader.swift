internal import Core
internal import Inventory

/// Reads the items of `nat`.
enum TranslationReader {
  enum Verb: String, CaseIterable {
    case masquerade, snat, balance, redirect, exempt
    case forwardPort = "forward-port"

    var keys: [String] {
      let common = ["family", "comment", "owner"]
      let ports = PortTransport.allCases.map(\.rawValue)
      return switch self {
      case .masquerade: ["from", "out"] + common
      case .snat: ["from", "out", "to"] + common
      case .redirect: ["from", "in", "to"] + ports + common
      case .forwardPort: ["from", "in", "to", "forward"] + ports + common
      case .balance: ["from", "in", "to", "mode", "forward"] + ports + common
      case .exempt: ["from", "to", "out"] + common
      }
    }
  }

  enum Mode: String, CaseIterable {
    case roundRobin = "round-robin"
    case random
  }

  enum Forwarding: String, CaseIterable {
    case explicit
  }

  static func read(_ node: YAMLNode, _ raw: RawItemReader, _ problems: inout Problems) -> [TranslationItem] {
    guard !node.isNull else { return [] }
    return (node.list(&problems) ?? []).compactMap { item($0, raw, &problems) }
  }

  private static func item(
    _ node: YAMLNode, _ raw: RawItemReader, _ problems: inout Problems
  ) -> TranslationItem? {
    guard
      let (word, content) = ItemReader.verb(node, Verb.allCases.map(\.rawValue) + [RawItemReader.verb], &problems)
    else { return nil }
    var match = TrafficMatch(location: node.location)
    if word == RawItemReader.verb {
      return raw.read(content, &problems).map { TranslationItem(action: .raw($0), match: match) }
    }
    guard let verb = Verb(rawValue: word), let body = ItemReader.mapping(content, allowing: verb.keys, &problems)
    else { return nil }
    if verb == .exempt {
      match = MatchReader.read(body, at: node.location, &problems)
      return TranslationItem(action: .exempt, match: match)
    }
    let matched = body.without("to")
    let forwarding: Forwarding? = body["forward"].flatMap { MatchReader.choice($0, "way to forward", &problems) }
    match = MatchReader.read(matched, at: node.location, &problems)
    guard let action = action(verb, body, &problems) else { return nil }
    if [.forwardPort, .balance, .redirect].contains(verb), match.ports.count != 1 {
      problems.add(node.location, "\(word) needs the ports of one transport", hint: "such as tcp: \"8080\"")
      return nil
    }
    if match.ports.first?.transport == .dccp || match.ports.first?.transport == .sctp {
      problems.add(node.location, "\(word) translates tcp and udp", hint: "name their ports")
    }
    return TranslationItem(action: action, match: match, placesForward: forwarding == .explicit)
  }

  private static func action(
    _ verb: Verb, _ body: YAMLMapping, _ problems: inout Problems
  ) -> TranslationItem.Action? {
    switch verb {
    case .exempt: return .exempt
    case .masquerade: return .masquerade
    case .snat:
      guard let node = body.required("to", &problems), let endpoint = OperandReader.endpoint(node, &problems) else {
        return nil
      }
      if endpoint.value.port != nil {
        problems.add(node.location, "snat keeps the ports", hint: "name the address alone")
      }
      return .snat(to: endpoint)
    case .forwardPort:
      return body.required("to", &problems).flatMap { OperandReader.endpoint($0, &problems) }
        .map { .forwardPort(to: $0) }
    case .redirect:
      guard let node = body.required("to", &problems), let text = node.string(&problems) else { return nil }
      guard let range = PortRange(text), range.isOne else {
        problems.add(node.location, "\(quoted(text)) is no port", hint: "redirect sends to a port of the host itself")
        return nil
      }
      return .redirect(to: range)
    case .balance:
      guard let node = body.required("to", &problems) else { return nil }
      let mode: Mode = body["mode"].flatMap { MatchReader.choice($0, "mode", &problems) } ?? .roundRobin
      let targets = OperandReader.each(node, "address", &problems, isNeeded: true) { OperandReader.endpoint($0, &$1) }
      // What is wrong with one of them is said already.
      if case .list(let nodes) = node.content, targets.count < nodes.count { return nil }
      guard (2...64).contains(targets.count) else {
        problems.add(node.location, "balance needs 2 to 64 addresses", hint: "forward-port sends to one")
        return nil
      }
      return .balance(to: targets, isRandom: mode == .random)
    }
  }
}
