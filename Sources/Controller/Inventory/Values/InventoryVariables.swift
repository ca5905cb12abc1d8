package import Core

/// The variables of one host: its own over those of its groups.
///
/// Hosts of the same groups share what the groups say, so that ten thousand hosts cost little more than what is written
/// about each.
package struct InventoryVariables: Sendable, Hashable, Sequence, ExpressibleByDictionaryLiteral {
  struct Written: Sendable {
    let value: InventoryValue
    let location: SourceLocation
  }

  private let inherited: [String: Written]
  private let own: [String: Written]

  init(inherited: [String: Written], own: [String: Written]) {
    self.inherited = inherited
    self.own = own
  }

  package init(dictionaryLiteral elements: (String, InventoryValue)...) {
    inherited = [:]
    own = Dictionary(
      elements.map { ($0, Written(value: $1, location: SourceLocation(file: "", line: 1, column: 1))) }
    ) { $1 }
  }

  package subscript(name: String) -> InventoryValue? { (own[name] ?? inherited[name])?.value }

  /// Where the value that counts was written.
  package func location(of name: String) -> SourceLocation? { (own[name] ?? inherited[name])?.location }

  package var isEmpty: Bool { own.isEmpty && inherited.isEmpty }
  package var count: Int { inherited.count + own.keys.count { inherited[$0] == nil } }

  /// In ASCII order.
  package var names: [String] {
    (own.keys + inherited.keys.filter { own[$0] == nil }).sorted(by: bytewise)
  }

  package func makeIterator() -> some IteratorProtocol<(key: String, value: InventoryValue)> {
    names.lazy.map { (key: $0, value: self[$0] ?? .null) }.makeIterator()
  }

  package static func == (a: InventoryVariables, b: InventoryVariables) -> Bool {
    a.count == b.count && a.names.allSatisfy { a[$0] == b[$0] }
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(names) }
}

extension YAMLNode {
  /// A value that was not written in YAML, as if it had been: readers of our own variables take nodes.
  init(_ value: InventoryValue, at location: SourceLocation) {
    func node(_ content: Content, tag: String? = nil, _ style: Style = .quoted) -> YAMLNode {
      YAMLNode(location: location, tag: tag, content: content, style: style, isFromJSON: true)
    }
    self =
      switch value {
      case .null: node(.null)
      case .bool(let flag): node(.scalar(flag ? "true" : "false"), .literal)
      case .integer(let number): node(.scalar(String(number)), .literal)
      case .real(let text): node(.scalar(text), .literal)
      case .text(let text): node(.scalar(text))
      case .unsafe(let text): node(.scalar(text), tag: "!unsafe")
      case .vaulted(let text): node(.scalar(text), tag: "!vault")
      case .list(let values): node(.list(values.map { YAMLNode($0, at: location) }))
      case .mapping(let entries):
        node(
          .mapping(
            entries.map {
              Entry(key: $0.key, keyLocation: location, value: YAMLNode($0.value, at: location))
            }))
      }
  }
}
