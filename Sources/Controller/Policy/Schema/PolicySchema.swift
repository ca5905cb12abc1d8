internal import Core
internal import Ruleset

/// JSON Schemas (draft-07) of the files people write, for editors. They are made of the readers' own lists of keys, so
/// that the two cannot disagree; what needs the inventory or other files is judged by `validate` alone.
package enum FileSchema: String, CaseIterable, Sendable {
  case policy, common, lockdown, inventory, config

  /// The modeline that editors with yaml-language-server look for, naming the file that `init` writes.
  package var modeline: String { "# yaml-language-server: $schema=\(path)" }

  /// Beside the fleet's configuration.
  package var fileName: String { "schemas/\(rawValue).json" }
  private var path: String {
    switch self {
    case .config: fileName
    case .policy, .common, .inventory: "../\(fileName)"
    case .lockdown: "../../\(fileName)"
    }
  }

  package var text: String {
    switch self {
    case .policy: PolicySchema.value.text
    case .common: PolicySchema.common.text
    case .lockdown: LockdownSchema.value.text
    case .inventory: OtherSchemas.inventory.text
    case .config: OtherSchemas.config.text
    }
  }
}

enum PolicySchema {
  static var value: JSONText {
    let known = properties
    // Every key that the reader takes has a place here, or the schema would call it wrong.
    let members = PolicyFileReader.keys.map { ($0, known[$0] ?? [:]) }
    return SchemaShapes.object(members, required: ["policy", "applies_to"]).with([
      ("not", ["required": ["raw", "rules"]]), ("definitions", .object(definitions + ItemSchema.definitions)),
    ]).titled("Portcullis policy")
  }

  /// Of common.yaml.
  static var common: JSONText {
    let known = properties
    return SchemaShapes.object(DefinitionsReader.keys.map { ($0, known[$0] ?? [:]) })
      .with([("definitions", .object(definitions))]).titled("What Portcullis policies share")
  }

  private typealias Shapes = SchemaShapes

  private static var properties: [String: JSONText] {
    var properties: [String: JSONText] = [
      "policy": Shapes.text("The policy's name, which is its file's or folder's"),
      "description": Shapes.text("For people"),
      "applies_to": Shapes.oneOrMany(Shapes.text).with([("description", "Groups of the inventory")]),
      "order": Shapes.number(0, 10_000).with([
        ("description", "Where the rules stand among those of the host's other policies; 50 when it is not said")
      ]),
      "mode": Shapes.choice(BesideOthers.Mode.allCases.map(\.rawValue)),
      "foreign": [
        "anyOf": [
          Shapes.choice(["allow", "deny"]),
          Shapes.object(
            [("allow", ["anyOf": [Shapes.choice(["*"]), ["type": "array", "items": Shapes.text]]])],
            required: ["allow"]),
        ]
      ],
      "ipv6": Shapes.choice(["drop-all"]), "established": Shapes.choice(["explicit"]), "observe": Shapes.bool,
      "on_drift": Shapes.choice(OnDrift.allCases.map(\.rawValue)),
      "sets": named(Shapes.reference("addresses")), "services": named(Shapes.reference("service"), besides: ["ssh"]),
      "schedule": named(Shapes.reference("schedule")),
      "defaults": Shapes.object(
        BuiltInHook.allCases.map { ($0.rawValue, Shapes.choice(DefaultAction.allCases.map(\.rawValue))) }
      ).orNull,
      "nat": Shapes.list(Shapes.reference("translation")),
      "containers": ["type": "array", "minItems": 1, "items": Shapes.reference("container")],
      "raw": Shapes.object(Family.allCases.map { ($0.rawValue, Shapes.text("Restore text")) }).orNull,
      "rules": Shapes.object(
        Family.allCases.map { ($0.rawValue, Shapes.text("A file beside policy.yaml")) }, required: ["ipv4"]),
      "sysctl": sysctl,
    ]
    for section in PolicyFile.Section.allCases {
      let rules = Shapes.list(["allOf": [Shapes.reference("item"), ItemSchema.limits(of: section)]])
      properties[section.rawValue] = section == .forward ? ["anyOf": [Shapes.choice(["foreign"]), rules]] : rules
    }
    return properties
  }

  static let definitions: [(String, JSONText)] = [
    (
      "addresses",
      Shapes.oneOrMany(Shapes.text).with([
        ("description", "Addresses, prefixes, sets, group:NAME, host:NAME, controllers, DNS names, ${variable}")
      ])
    ),
    ("service", Shapes.oneOrMany(Shapes.text(matching: "^(tcp|udp|sctp|dccp|proto)/[a-z0-9:-]+$"))),
    (
      "schedule",
      Shapes.object([
        ("days", Shapes.oneOrMany(Shapes.text(matching: days))), ("from", Shapes.text(matching: clock)),
        ("to", Shapes.text(matching: clock + "|^24:00$")), ("zone", Shapes.choice(["UTC"])),
      ]).with([("anyOf", .array(["days", "from", "to"].map { ["required": [.string($0)]] }))])
    ),
  ]

  /// In capitals as well.
  private static let days: String = {
    let day = "(" + Schedule.days.map { $0.map { "[\($0.uppercased())\($0)]" }.joined() }.joined(separator: "|") + ")"
    let span = " *\(day) *(- *\(day) *)?"
    return "^\(span)(,\(span))*$"
  }()
  private static let clock = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"

  /// By names of one's own.
  static func named(_ value: JSONText, besides taken: [String] = []) -> JSONText {
    let reserved = (DefinitionsReader.reserved.sorted() + taken).map { JSONText.string($0) }
    return JSONText.object([
      ("type", "object"),
      ("propertyNames", ["pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$", "not": ["enum": .array(reserved)]]),
      ("additionalProperties", value),
    ]).orNull
  }

  /// Every setting there is by its name, and those of interfaces by any.
  private static var sysctl: JSONText {
    let keys = SysctlKey.examples.compactMap { name in SysctlKey(name).map { (name: name, key: $0) } }
    func value(_ key: SysctlKey) -> JSONText { Shapes.number(key.allowed.lowerBound, key.allowed.upperBound) }
    let patterns = keys.compactMap { name, key -> (String, JSONText)? in
      let prefix = "net.\(key.family).conf.default."
      guard name.hasPrefix(prefix) else { return nil }
      let leaf = name.dropFirst(prefix.utf8.count)
      return ("^net\\.\(key.family)\\.conf\\.[A-Za-z0-9._@+-]{1,15}\\.\(leaf)$", value(key))
    }
    return Shapes.object(keys.map { ($0.name, value($0.key)) }).with([("patternProperties", .object(patterns))]).orNull
  }
}
