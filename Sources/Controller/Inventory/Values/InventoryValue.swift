/// The value of a variable, typed as Ansible types it: YAML 1.1 in YAML files, Python's literals in INI files, JSON.
///
/// Variables that we read ourselves (`ansible_port`, `portcullis_*`) are never taken from here but from the text that
/// was written, so that no `022` becomes 18.
package enum InventoryValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A number that is no `Int`, as Python writes it in JSON: `1.5`, `1e+16`, `NaN`, or more digits than an integer has.
  case real(String)
  case text(String)
  case list([InventoryValue])
  /// In the order it was written.
  case mapping([Entry])
  /// `!unsafe`: a text in which `{{` means nothing.
  case unsafe(String)
  /// `!vault`: what ansible-vault encrypted. We have no key for it.
  case vaulted(String)

  package struct Entry: Hashable, Sendable {
    package let key: String
    package let value: InventoryValue

    package init(key: String, value: InventoryValue) {
      self.key = key
      self.value = value
    }
  }

  /// The text of a text.
  package var string: String? {
    switch self {
    case .text(let text), .unsafe(let text): text
    case .null, .bool, .integer, .real, .list, .mapping, .vaulted: nil
    }
  }

  /// The same with plain texts for those that are unsafe.
  var withoutUnsafe: InventoryValue {
    switch self {
    case .unsafe(let text): .text(text)
    case .list(let values): .list(values.map(\.withoutUnsafe))
    case .mapping(let entries): .mapping(entries.map { Entry(key: $0.key, value: $0.value.withoutUnsafe) })
    case .null, .bool, .integer, .real, .text, .vaulted: self
    }
  }

  /// Whether it is or holds a text with a template, which we do not evaluate.
  package var hasTemplate: Bool {
    switch self {
    case .text(let text): text.contains("{{") || text.contains("{%")
    case .list(let values): values.contains(where: \.hasTemplate)
    case .mapping(let entries): entries.contains { $0.value.hasTemplate }
    case .null, .bool, .integer, .real, .unsafe, .vaulted: false
    }
  }
}

extension InventoryValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self = .text(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(arrayLiteral elements: InventoryValue...) { self = .list(elements) }
  package init(dictionaryLiteral elements: (String, InventoryValue)...) {
    self = .mapping(elements.map { Entry(key: $0, value: $1) })
  }
  package init(nilLiteral: ()) { self = .null }
}

extension InventoryValue: Encodable {
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let flag): try container.encode(flag)
    case .integer(let number): try container.encode(number)
    case .real(let text):
      // JSON itself knows no infinity; Python does.
      if let number = Double(text), number.isFinite { try container.encode(number) } else { try container.encode(text) }
    case .text(let text): try container.encode(text)
    case .unsafe(let text): try container.encode(["__ansible_unsafe": text])
    case .vaulted(let text): try container.encode(["__ansible_vault": text])
    case .list(let values): try container.encode(values)
    case .mapping(let entries):
      try container.encode(Dictionary(entries.map { ($0.key, $0.value) }) { $1 })
    }
  }
}

extension InventoryValue {
  /// What a node of a file means to Ansible.
  init(_ node: YAMLNode) { self.init(node, unsafe: false) }

  private init(_ node: YAMLNode, unsafe inherited: Bool) {
    let isUnsafe = inherited || node.tag == "!unsafe"
    switch node.content {
    case .null: self = .null
    case .list(let nodes): self = .list(nodes.map { InventoryValue($0, unsafe: isUnsafe) })
    case .mapping(let entries):
      self = .mapping(
        entries.map { Entry(key: Self.key($0), value: InventoryValue($0.value, unsafe: isUnsafe)) })
    case .scalar(let text):
      let value = Self.scalar(text, node)
      if isUnsafe, case .text(let text) = value { self = .unsafe(text) } else { self = value }
    }
  }

  private static func scalar(_ text: String, _ node: YAMLNode) -> InventoryValue {
    switch node.tag {
    case "!vault", "!vault-encrypted": return .vaulted(text)
    // Ansible resolves these again as if they had neither tag nor quotes.
    case "!unsafe": return node.isFromJSON ? .text(text) : PlainScalar.value(of: text)
    case "tag:yaml.org,2002:int": return PlainScalar.integer(text) ?? .text(text)
    case "tag:yaml.org,2002:float": return PlainScalar.float(text) ?? PythonNumber.real(text) ?? .text(text)
    case "tag:yaml.org,2002:bool": return PlainScalar.bool(text).map { .bool($0) } ?? .text(text)
    case "tag:yaml.org,2002:timestamp": return YAMLTimestamp.iso(text).map { .text($0) } ?? .text(text)
    case "tag:yaml.org,2002:null": return .null
    case nil: break
    case .some: return .text(text)
    }
    switch node.style {
    case .quoted: return .text(text)
    case .plain: return PlainScalar.value(of: text)
    case .literal: return JSONText.literal(text)
    }
  }

  /// JSON has only texts for keys: Python writes `true` for the key that YAML 1.1 makes of `yes`.
  static func key(_ entry: YAMLNode.Entry) -> String {
    guard entry.hasPlainKey else { return entry.key }
    switch PlainScalar.value(of: entry.key) {
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .real(let text): return text
    case .null: return "null"
    case .text(let text): return text
    case .list, .mapping, .unsafe, .vaulted: return entry.key
    }
  }
}
