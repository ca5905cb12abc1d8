internal import Core
internal import Ruleset

/// What items may say: those of `input` and its like, of `nat` and of `containers`.
enum ItemSchema {
  private typealias Shapes = SchemaShapes

  static var definitions: [(String, JSONText)] {
    [
      ("item", items(ItemReader.Verb.allCases.map { ($0.rawValue, body($0)) } + [raw])),
      ("translation", items(TranslationReader.Verb.allCases.map { ($0.rawValue, body($0)) } + [raw])),
      (
        "container",
        items(ContainerRules.Verdict.allCases.map { ($0.rawValue, match(ContainersReader.keys)) })
      ),
    ]
      + [
        ("ports", Shapes.oneOrMany(port)), ("names", Shapes.oneOrMany(Shapes.text)),
        (
          "states", Shapes.oneOrMany(Shapes.choice(TrafficMatch.State.allCases.map(\.rawValue)))
        ),
        ("rate", Shapes.text(matching: "^[0-9]{1,5}/(s|sec|second|m|min|minute|h|hour|d|day)$")),
        ("line", ["type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 255]),
      ]
  }

  private static var raw: (String, JSONText) {
    let rule = Shapes.text("A rule as iptables-save prints it")
    return (RawItemReader.verb, ["anyOf": [rule, Shapes.object(Family.allCases.map { ($0.rawValue, rule) })]])
  }

  /// What a section takes less than others.
  static func limits(of section: PolicyFile.Section) -> JSONText {
    var wrong: [JSONText] = []
    func refuse(_ key: String) { wrong.append(["type": "object", "required": [.string(key)]]) }
    switch section.hook {
    case .input: refuse("out")
    case .output: refuse("in")
    case .forward: wrong.append(Shapes.choice([TrafficMatch.Word.dhcpClient.rawValue]))
    }
    if section.isLast {
      wrong.append([
        "type": "object", "required": ["strict"], "properties": ["strict": ["enum": [true, "true"]]],
      ])
    }
    return ["additionalProperties": ["not": ["anyOf": .array(wrong)]]]
  }

  private static func body(_ verb: ItemReader.Verb) -> JSONText {
    let body = match(verb.allKeys, required: verb == .limit ? ["rate"] : [])
    guard verb != .limit else { return body }
    return ["anyOf": [Shapes.choice(TrafficMatch.Word.allCases.map(\.rawValue)), body]]
  }

  private static func body(_ verb: TranslationReader.Verb) -> JSONText {
    switch verb {
    case .masquerade, .exempt: return match(verb.keys)
    case .snat: return match(verb.keys, required: ["to"], to: Shapes.text)
    case .forwardPort, .redirect, .balance:
      let target: JSONText =
        switch verb {
        case .balance: ["type": "array", "items": Shapes.text, "minItems": 2, "maxItems": 64]
        case .redirect: Shapes.number(1, 65_535)
        default: Shapes.text
        }
      let keys = verb.keys.filter { !["sctp", "dccp"].contains($0) }
      return match(keys, required: ["to"], to: target)
        .with([("oneOf", [["required": ["tcp"]], ["required": ["udp"]]])])
    }
  }

  static func match(_ keys: [String], required: [String] = [], to target: JSONText? = nil) -> JSONText {
    var needs: [(String, JSONText)] = []
    if keys.contains("strict") { needs.append(("strict", ["when"])) }
    if keys.contains("limit") { needs.append(("burst", ["limit"])) }
    if keys.contains("helper") {
      let ports = PortTransport.allCases.map(\.rawValue) + ["service"]
      needs.append(("helper", ["anyOf": .array(ports.map { ["required": [.string($0)]] })]))
    }
    let members = keys.map { ($0, $0 == "to" ? target ?? key($0) : key($0)) }
    return Shapes.object(members, required: required).with(needs.isEmpty ? [] : [("dependencies", .object(needs))])
  }

  private static func key(_ key: String) -> JSONText {
    switch key {
    case "from", "to": Shapes.reference("addresses")
    case "tcp", "udp", "sctp", "dccp": Shapes.reference("ports")
    case "service", "in", "out", "proto": Shapes.reference("names")
    case "state": Shapes.reference("states")
    case "family": Shapes.choice(Family.allCases.map(\.rawValue))
    case "strict": Shapes.bool
    case "burst": Shapes.number(1, 10_000)
    case "rate", "limit": Shapes.reference("rate")
    case "until": Shapes.text(matching: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    case "comment", "owner": Shapes.reference("line")
    case "with": Shapes.choice(Rejection.allCases.map(\.rawValue))
    case "level": Shapes.choice(LogWords.Level.allCases.map(\.rawValue))
    case "by": Shapes.choice(RateLimit.Key.allCases.map(\.rawValue))
    case "over": Shapes.choice(RateLimit.Excess.allCases.map(\.rawValue))
    case "icmp", "icmpv6": Shapes.oneOrMany(["type": ["string", "integer"]])
    case "forward": Shapes.choice(TranslationReader.Forwarding.allCases.map(\.rawValue))
    case "mode": Shapes.choice(TranslationReader.Mode.allCases.map(\.rawValue))
    default: Shapes.text
    }
  }

  private static var port: JSONText {
    let range = "[1-9][0-9]{0,4}([-:][1-9][0-9]{0,4})?"
    return Shapes.number(1, 65_535, pattern: "^(\(range)|\\$\\{[A-Za-z0-9_]{1,128}\\})$")
  }

  /// One verb and what it applies to.
  static func items(_ verbs: [(String, JSONText)]) -> JSONText {
    Shapes.object(verbs).with([("minProperties", 1), ("maxProperties", 1)])
  }
}
