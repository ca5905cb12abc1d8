/// Pieces of schemas that say what the readers take.
enum SchemaShapes {
  /// Readers take the text of a value as it is written, so that `42` and `true` are texts too.
  static let text: JSONText = ["type": ["string", "number", "boolean"]]
  /// In quotes as well.
  static let bool: JSONText = ["enum": [true, false, "true", "false"]]

  static func text(_ words: String) -> JSONText { text.with([("description", .string(words))]) }

  static func text(matching pattern: String) -> JSONText { ["type": "string", "pattern": .string(pattern)] }

  /// In quotes as well; bounds are for numbers alone, and the pattern for texts.
  static func number(_ least: Int, _ most: Int, pattern: String = "^(0|[1-9][0-9]*)$") -> JSONText {
    [
      "type": ["integer", "string"], "minimum": .integer(least), "maximum": .integer(most),
      "pattern": .string(pattern),
    ]
  }

  static func choice(_ words: [String]) -> JSONText { ["enum": .array(words.map { .string($0) })] }
  static func reference(_ name: String) -> JSONText { ["$ref": .string("#/definitions/\(name)")] }

  /// Nothing is a list without items.
  static func list(_ items: JSONText) -> JSONText { ["type": ["array", "null"], "items": items] }

  static func oneOrMany(_ value: JSONText) -> JSONText {
    ["anyOf": [value, ["type": "array", "items": value, "minItems": 1]]]
  }

  static func object(_ members: [(String, JSONText)], required: [String] = []) -> JSONText {
    JSONText.object([
      ("type", "object"), ("additionalProperties", false), ("properties", .object(members)),
    ]).with(required.isEmpty ? [] : [("required", .array(required.map { .string($0) }))])
  }
}

extension JSONText {
  /// A section of which nothing is said may stand there all the same.
  var orNull: JSONText {
    guard case .object(let members) = self else { return self }
    return .object(members.map { $0 == "type" ? ($0, ["object", "null"]) : ($0, $1) })
  }

  /// A whole schema.
  func titled(_ title: String) -> JSONText {
    guard case .object(let members) = self else { return self }
    return .object([("$schema", "http://json-schema.org/draft-07/schema#"), ("title", .string(title))] + members)
  }
}
