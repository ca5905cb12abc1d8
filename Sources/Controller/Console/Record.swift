/// A line of `-o ndjson` in a document that has several kinds of them: its own keys, and which kind it is.
struct Record<Content: Encodable>: Encodable {
  let type: String
  let content: Content

  init(_ type: String, _ content: Content) {
    self.type = type
    self.content = content
  }

  private enum CodingKeys: CodingKey { case type }

  func encode(to encoder: any Encoder) throws {
    try content.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(type, forKey: .type)
  }
}

enum Records {
  static func each(_ type: String, _ contents: [some Encodable]) -> [any Encodable] {
    contents.map { Record(type, $0) }
  }

  /// Hosts of which there is no more to tell than that: one line, and none where there are none.
  static func hosts(_ type: String, _ hosts: [String]) -> [any Encodable] {
    hosts.isEmpty ? [] : [Record(type, ["hosts": hosts])]
  }
}
