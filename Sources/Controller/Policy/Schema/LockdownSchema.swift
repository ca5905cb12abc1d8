internal import Core

/// Of `policies/lockdown/NAME.yaml`.
enum LockdownSchema {
  private typealias Shapes = SchemaShapes

  static var value: JSONText {
    let known = properties
    let members = ProfileReader.keys.map { ($0, known[$0] ?? [:]) }
    let parts = ["addresses", "service", "ports", "names", "rate", "line"]
    let definitions = (PolicySchema.definitions + ItemSchema.definitions).filter { parts.contains($0.0) }
    return Shapes.object(members, required: ["lockdown", "rank", "applies_to", "defaults"])
      .with([("definitions", .object(definitions))]).titled("Portcullis lockdown profile")
  }

  private static var properties: [String: JSONText] {
    var properties: [String: JSONText] = [
      "lockdown": Shapes.text("The profile's name, which is its file's"), "description": Shapes.text("For people"),
      "rank": Shapes.number(0, Int(LockRank.maximum)).with([
        ("description", "While a host is locked, no order replaces the profile by one of a lower rank")
      ]),
      "applies_to": Shapes.oneOrMany(Shapes.text).with([("description", "Groups of the inventory")]),
      "sets": PolicySchema.named(Shapes.reference("addresses")),
      "services": PolicySchema.named(Shapes.reference("service"), besides: ["ssh"]),
      "defaults": Shapes.object(
        BuiltInHook.allCases.map { ($0.rawValue, Shapes.choice(DefaultAction.allCases.map(\.rawValue))) }),
      "keep": Shapes.object(BuiltInHook.allCases.map { ($0.rawValue, Shapes.list(flow($0))) }).orNull,
    ]
    let items = ItemSchema.items(
      ProfileReader.Verb.allCases.map { verb in
        (verb.rawValue, ItemSchema.match(ProfileReader.keys(of: verb)))
      })
    for hook in BuiltInHook.allCases {
      properties[hook.rawValue] = Shapes.list(["allOf": [items, ItemSchema.limits(of: hook.main)]])
    }
    return properties
  }

  /// That lives on.
  private static func flow(_ hook: BuiltInHook) -> JSONText {
    let flow = ItemSchema.match(ProfileReader.matchKeys.map(\.rawValue))
    return switch hook {
    case .input: flow.with([("not", ["required": ["out"]])])
    case .output: flow.with([("not", ["required": ["in"]])])
    case .forward: flow
    }
  }
}
