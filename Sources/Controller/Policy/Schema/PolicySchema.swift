internal import Core

/// JSON Schemas (draft-07) of the files people write, for editors. They are made of the readers' own lists of keys, so
/// that the two cannot disagree; what needs the inventory or other files is judged by `validate` alone.
package enum FileSchema: String, CaseIterable, Sendable {
  case policy, inventory, config

  /// The modeline that editors with yaml-language-server look for, naming the file that `init` writes.
  package var modeline: String { "# yaml-language-server: $schema=\(path)" }

  /// Beside the fleet's configuration.
  package var fileName: String { "schemas/\(rawValue).json" }
  private var path: String { self == .config ? fileName : "../\(fileName)" }

  package var text: String {
    switch self {
    case .policy: PolicySchema.value.text
    case .inventory: OtherSchemas.inventory.text
    case .config: OtherSchemas.config.text
    }
  }
}

enum PolicySchema {
  static let draft: JSONText = "http://json-schema.org/draft-07/schema#"

  static var value: JSONText {
    let known = properties
    // Every key that the reader takes has a place here, or the schema would call it wrong.
    let members = PolicyFileReader.keys.map { ($0, known[$0] ?? [:]) }
    return .object([
      ("$schema", draft), ("title", "Portcullis policy"), ("type", "object"), ("additionalProperties", false),
      ("required", ["policy", "applies_to"]), ("properties", .object(members)), ("definitions", definitions),
    ])
  }

  private static var properties: [String: JSONText] {
    var properties: [String: JSONText] = [
      "policy": described("string", "The policy's name, which is its file's or folder's"),
      "description": described("string", "For people"),
      "applies_to": oneOrMany(["type": "string"]).with([("description", "Groups of the inventory")]),
      "order": [
        "type": "integer", "minimum": 0, "maximum": 10_000,
        "description": "Where the rules stand among those of the host's other policies; 50 when it is not said",
      ],
      "mode": choice(BesideOthers.Mode.allCases.map(\.rawValue)),
      "foreign": ["anyOf": [choice(["allow", "deny"]), ["type": "object", "required": ["allow"]]]],
      "ipv6": choice(["drop-all"]), "established": choice(["explicit"]), "observe": ["type": "boolean"],
      "sets": ["type": "object", "additionalProperties": reference("addresses")],
      "services": ["type": "object", "additionalProperties": oneOrMany(["type": "string"])],
      "schedule": ["type": "object", "additionalProperties": reference("schedule")],
      "defaults": object(
        BuiltInHook.allCases.map { ($0.rawValue, choice(DefaultAction.allCases.map(\.rawValue))) }),
      "nat": list(items(TranslationReader.Verb.allCases.map { ($0.rawValue, match($0.keys)) } + [rawItem])),
      "containers": list(
        items(ContainerRules.Verdict.allCases.map { ($0.rawValue, match(ContainersReader.keys)) })),
      "raw": object(Family.allCases.map { ($0.rawValue, described("string", "Restore text")) }),
      "rules": object(Family.allCases.map { ($0.rawValue, described("string", "A file beside policy.yaml")) }),
      "sysctl": ["type": "object", "additionalProperties": ["type": ["string", "integer"]]],
    ]
    for section in PolicyFile.Section.allCases {
      let rules = list(reference("item"))
      properties[section.rawValue] = section == .forward ? ["anyOf": [choice(["foreign"]), rules]] : rules
    }
    return properties
  }

  private static var definitions: JSONText {
    [
      "addresses": oneOrMany(["type": "string"]).with([
        ("description", "Addresses, prefixes, sets, group:NAME, host:NAME, controllers, DNS names, ${variable}")
      ]),
      "ports": oneOrMany(["type": ["string", "integer"]]),
      "names": oneOrMany(["type": "string"]),
      "schedule": object([
        ("days", reference("names")), ("from", ["type": "string"]), ("to", ["type": "string"]),
        ("zone", choice(["UTC"])),
      ]),
      "item": items(
        ItemReader.Verb.allCases.map { verb in
          let body = match(verb.allKeys)
          return (
            verb.rawValue,
            verb == .limit ? body : ["anyOf": [choice(TrafficMatch.Word.allCases.map(\.rawValue)), body]]
          )
        } + [rawItem]),
    ]
  }

  private static var rawItem: (String, JSONText) {
    let rule = described("string", "A rule as iptables-save prints it")
    return (RawItemReader.verb, ["anyOf": [rule, object(Family.allCases.map { ($0.rawValue, rule) })]])
  }

  private static func match(_ keys: [String]) -> JSONText {
    object(keys.map { ($0, key($0)) })
  }

  private static func key(_ key: String) -> JSONText {
    switch key {
    case "from", "to": reference("addresses")
    case "tcp", "udp", "sctp", "dccp", "proto", "icmp", "icmpv6": reference("ports")
    case "service", "in", "out": reference("names")
    case "state": oneOrMany(choice(TrafficMatch.State.allCases.map(\.rawValue)))
    case "family": choice(Family.allCases.map(\.rawValue))
    case "strict": ["type": "boolean"]
    case "burst": ["type": "integer", "minimum": 1, "maximum": 10_000]
    case "with": choice(Rejection.allCases.map(\.rawValue))
    case "level": choice(LogWords.Level.allCases.map(\.rawValue))
    case "by": choice(RateLimit.Key.allCases.map(\.rawValue))
    case "over": choice(RateLimit.Excess.allCases.map(\.rawValue))
    case "forward": choice(TranslationReader.Forwarding.allCases.map(\.rawValue))
    case "mode": choice(TranslationReader.Mode.allCases.map(\.rawValue))
    default: ["type": "string"]
    }
  }

  // MARK: Shapes

  static func described(_ type: String, _ words: String) -> JSONText {
    ["type": .string(type), "description": .string(words)]
  }
  static func choice(_ words: [String]) -> JSONText { ["enum": .array(words.map { .string($0) })] }
  static func reference(_ name: String) -> JSONText { ["$ref": .string("#/definitions/\(name)")] }
  static func list(_ items: JSONText) -> JSONText { ["type": ["array", "null"], "items": items] }
  static func oneOrMany(_ value: JSONText) -> JSONText {
    ["anyOf": [value, ["type": "array", "items": value, "minItems": 1]]]
  }
  static func object(_ members: [(String, JSONText)]) -> JSONText {
    ["type": "object", "additionalProperties": false, "properties": .object(members)]
  }

  /// One verb and what it applies to.
  private static func items(_ verbs: [(String, JSONText)]) -> JSONText {
    object(verbs).with([("minProperties", 1), ("maxProperties", 1)])
  }
}

enum OtherSchemas {
  /// An Ansible inventory: groups within groups, any variables. Ours are checked by `validate`.
  static var inventory: JSONText {
    let group: JSONText = [
      "type": ["object", "null"], "additionalProperties": false,
      "properties": [
        "hosts": ["type": ["object", "null"], "additionalProperties": ["type": ["object", "null"]]],
        "vars": ["type": ["object", "null"]],
        "children": [
          "type": ["object", "null"], "additionalProperties": PolicySchema.reference("group"),
        ],
      ],
    ]
    return [
      "$schema": PolicySchema.draft, "title": "Portcullis inventory", "type": "object",
      "additionalProperties": PolicySchema.reference("group"), "definitions": ["group": group],
    ]
  }

  static var config: JSONText {
    let text: JSONText = ["type": "string"]
    let span: JSONText = ["type": "string", "pattern": "^[0-9]+[smhd]$"]
    return PolicySchema.object([
      ("fleet", text), ("inventory", PolicySchema.oneOrMany(text)), ("policies", text), ("state", text),
      ("keys", PolicySchema.object([("allowed_signers", text), ("signing_key", text)])),
      ("ssh", PolicySchema.object([("identity", text), ("known_hosts", text), ("admin_identity", text)])),
      ("controllers", ["type": "array", "items": text]), ("release", PolicySchema.object([("valid_for", span)])),
      ("report", PolicySchema.object([("stale_after", span)])), ("agents", text), ("lab", text),
    ]).with([("required", ["fleet"]), ("$schema", PolicySchema.draft), ("title", "Portcullis configuration")])
  }
}
