internal import Core
internal import Lint
internal import Policy
internal import Ruleset

/// Where connections are spread to, and how.
struct Balance: Hashable {
  let targets: [String]
  let isRandom: Bool
}

extension TypedRule {
  /// An item of a section.
  ///
  /// - Parameter family: the family it is in, when it is not in both.
  /// - Parameter services: ports that have a name are said by it.
  /// - Parameter balance: all the targets, where it is the last of several rules that share connections.
  func item(only family: Family?, services: Bool, balance: Balance? = nil) -> String {
    if let word, family == nil { return "- \(states == [.invalid] ? "drop" : "accept"): \(word)" }
    var members: [(key: String, value: String)] = []
    func add(_ key: String, _ value: String?) { if let value { members.append((key, value)) } }
    // Whose packets are translated matters most; elsewhere the way they take does.
    if isTranslation {
      add("from", source.map { YAMLText.scalar($0.description) })
      add("to", destination.map { YAMLText.scalar($0.description) })
    }
    add("in", input.map(YAMLText.scalar))
    add("out", output.map(YAMLText.scalar))
    if !isTranslation {
      add("from", source.map { YAMLText.scalar($0.description) })
      add("to", destination.map { YAMLText.scalar($0.description) })
    }
    switch transport {
    case .tcp(let ports), .udp(let ports):
      let key = transport == .tcp(ports) ? "tcp" : "udp"
      if services, !isTranslation, let names = ServiceNames.all(of: key, ports) {
        add("service", names.count == 1 ? names[0] : YAMLText.list(names))
      } else {
        add(key, Self.ports(ports))
      }
    case .icmp(let type, let family):
      let name = ICMPType.names[family].filter { $0.value == type.type && type.code == nil }.keys.min()
      add(family == .ipv4 ? "icmp" : "icmpv6", YAMLText.scalar(name ?? type.text))
    case .named(let name): add("proto", YAMLText.scalar(name))
    case nil: break
    }
    if let only = states.first {
      add("state", states.count == 1 ? only.rawValue : YAMLText.list(states.map(\.rawValue)))
    }
    let verb: String
    switch verdict {
    case .accept: verb = "accept"
    case .drop: verb = "drop"
    case .reject(let rejection):
      verb = "reject"
      if rejection != .portUnreachable { add("with", rejection.rawValue) }
    case .log(let prefix, let level):
      verb = "log"
      add("prefix", prefix.map(YAMLText.quoted))
      add("level", level.map { "\($0)" })
    case .masquerade: verb = "masquerade"
    case .exempt: verb = "exempt"
    case .dnat(let to, _):
      verb = balance == nil ? "forward-port" : "balance"
      add("to", balance.map { YAMLText.list($0.targets.map(YAMLText.quoted)) } ?? YAMLText.quoted(to))
      if balance?.isRandom == true { add("mode", "random") }
      // Who may be forwarded is said by rules of their own.
      add("forward", "explicit")
    case .redirect(let port):
      verb = "redirect"
      add("to", YAMLText.quoted("\(port)"))
    case .snat(let to):
      verb = "snat"
      add("to", YAMLText.scalar(to))
    }
    add("limit", rate.map { "\($0.count)/\($0.unit.rawValue)" })
    add("burst", rate?.burst.map(String.init))
    add("comment", comment.map(YAMLText.quoted))
    if let family, !showsFamily { add("family", family.rawValue) }
    return "- \(verb): " + YAMLText.mapping(members)
  }

  private var isTranslation: Bool {
    switch verdict {
    case .masquerade, .snat, .dnat, .redirect, .exempt: true
    case .accept, .drop, .reject, .log: false
    }
  }

  private static func ports(_ ports: [ClosedRange<UInt16>]) -> String {
    let texts = ports.map {
      YAMLText.quoted($0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)")
    }
    return texts.count == 1 ? texts[0] : YAMLText.list(texts)
  }
}
