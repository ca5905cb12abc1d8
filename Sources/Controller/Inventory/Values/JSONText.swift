internal import Core

/// JSON as Python's `json.loads` takes it, into the same nodes as YAML: the output of executable inventories, and
/// variable files that are JSON.
struct JSONText {
  static let depthLimit = 64

  private let bytes: [UInt8]
  private let file: String
  private var position = 0
  private var line = 1
  private var lineStart = 0

  static func parse(_ bytes: [UInt8], file: String) throws(Diagnostic) -> YAMLNode {
    var parser = JSONText(bytes, file)
    let node = try parser.value(depth: 0)
    parser.skipBlanks()
    guard parser.position == bytes.count else { throw parser.problem("something follows the JSON value") }
    return node
  }

  private init(_ bytes: [UInt8], _ file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// What a bare word of JSON is: a number, `true`, `false` or `null`.
  static func literal(_ text: String) -> InventoryValue {
    switch text {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "null": return .null
    case "NaN", "Infinity", "-Infinity": return .real(text)
    default: break
    }
    if let value = Int(text) { return .integer(value) }
    return text.utf8.contains { ".eE".utf8.contains($0) } ? PythonNumber.real(text) ?? .text(text) : .real(text)
  }

  private mutating func value(depth: Int) throws(Diagnostic) -> YAMLNode {
    skipBlanks()
    let location = location
    guard position < bytes.count else { throw problem("the JSON ends too early") }
    guard depth < Self.depthLimit else {
      throw problem("lists and mappings are nested more than \(Self.depthLimit) deep")
    }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try object(at: location, depth: depth)
    case UInt8(ascii: "["): return try array(at: location, depth: depth)
    case UInt8(ascii: "\""): return node(location, .scalar(try string()), .quoted)
    default: return try word(at: location)
    }
  }

  private func node(_ location: SourceLocation, _ content: YAMLNode.Content, _ style: YAMLNode.Style) -> YAMLNode {
    YAMLNode(location: location, tag: nil, content: content, style: style, isFromJSON: true)
  }

  private mutating func object(at location: SourceLocation, depth: Int) throws(Diagnostic) -> YAMLNode {
    position += 1
    var entries: [YAMLNode.Entry] = []
    var index: [[UInt8]: Int] = [:]
    skipBlanks()
    if skip(UInt8(ascii: "}")) { return node(location, .mapping([]), .quoted) }
    while true {
      skipBlanks()
      let keyLocation = self.location
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
        throw problem("expected a key in quotes")
      }
      let key = try string()
      skipBlanks()
      guard skip(UInt8(ascii: ":")) else { throw problem("expected ':'") }
      let entry = YAMLNode.Entry(key: key, keyLocation: keyLocation, value: try value(depth: depth + 1))
      // As in Python, the last of equal keys counts.
      if let earlier = index[Array(key.utf8)] {
        entries[earlier] = entry
      } else {
        index[Array(key.utf8)] = entries.count
        entries.append(entry)
      }
      skipBlanks()
      if skip(UInt8(ascii: ",")) { continue }
      guard skip(UInt8(ascii: "}")) else { throw problem("expected ',' or '}'") }
      return Self.marked(node(location, .mapping(entries), .quoted), entries)
    }
  }

  /// How Ansible writes in JSON what YAML tags.
  private static func marked(_ node: YAMLNode, _ entries: [YAMLNode.Entry]) -> YAMLNode {
    guard entries.count == 1, case .scalar(let text) = entries[0].value.content, entries[0].value.style == .quoted
    else {
      return node
    }
    let tag = ["__ansible_unsafe": "!unsafe", "__ansible_vault": "!vault"][entries[0].key]
    guard let tag else { return node }
    return YAMLNode(
      location: node.location, tag: tag, content: .scalar(text), style: .quoted, isFromJSON: true)
  }

  private mutating func array(at location: SourceLocation, depth: Int) throws(Diagnostic) -> YAMLNode {
    position += 1
    var nodes: [YAMLNode] = []
    skipBlanks()
    if skip(UInt8(ascii: "]")) { return node(location, .list([]), .quoted) }
    while true {
      nodes.append(try value(depth: depth + 1))
      skipBlanks()
      if skip(UInt8(ascii: ",")) { continue }
      guard skip(UInt8(ascii: "]")) else { throw problem("expected ',' or ']'") }
      return node(location, .list(nodes), .quoted)
    }
  }

  private mutating func word(at location: SourceLocation) throws(Diagnostic) -> YAMLNode {
    let start = position
    while position < bytes.count, Self.isWordByte(bytes[position]) { position += 1 }
    let word = bytes[start..<position]
    let text = String(decoding: word, as: UTF8.self)
    if text == "null" { return node(location, .null, .literal) }
    guard ["true", "false", "NaN", "Infinity", "-Infinity"].contains(text) || Self.isNumber(word) else {
      position = start
      throw problem("expected a JSON value")
    }
    return node(location, .scalar(text), .literal)
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    PlainScalar.isDigit(byte) || "+-.".utf8.contains(byte) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a)
  }

  private static func isNumber(_ word: ArraySlice<UInt8>) -> Bool {
    guard word.count <= 256 else { return false }
    var rest = word.first == UInt8(ascii: "-") ? word.dropFirst() : word
    let whole = rest.prefix(while: PlainScalar.isDigit)
    guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else { return false }
    rest = rest.dropFirst(whole.count)
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: PlainScalar.isDigit)
      guard !fraction.isEmpty else { return false }
      rest = rest.dropFirst(1 + fraction.count)
    }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
      rest = rest.dropFirst()
      if let sign = rest.first, "+-".utf8.contains(sign) { rest = rest.dropFirst() }
      guard !rest.isEmpty, rest.allSatisfy(PlainScalar.isDigit) else { return false }
      return true
    }
    return rest.isEmpty
  }

  private mutating func string() throws(Diagnostic) -> String {
    position += 1
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let valid = String(validating: text, as: UTF8.self) else { throw problem("a text is not UTF-8") }
        return valid
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw problem("a control character inside a text")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw problem("a text without its closing quote")
  }

  private mutating func escape(into text: inout [UInt8]) throws(Diagnostic) {
    guard position + 1 < bytes.count else { throw problem("a text without its closing quote") }
    let simple: [UInt8: UInt8] = [
      UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5c, UInt8(ascii: "/"): 0x2f, UInt8(ascii: "b"): 0x08,
      UInt8(ascii: "f"): 0x0c, UInt8(ascii: "n"): 0x0a, UInt8(ascii: "r"): 0x0d, UInt8(ascii: "t"): 0x09,
    ]
    let kind = bytes[position + 1]
    if let byte = simple[kind] {
      text.append(byte)
      position += 2
      return
    }
    guard kind == UInt8(ascii: "u"), var code = hexadecimal(at: position + 2) else {
      throw problem("an unknown escape")
    }
    position += 6
    if (0xd800..<0xdc00).contains(code), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u"), let low = hexadecimal(at: position + 2), (0xdc00..<0xe000).contains(low)
    {
      code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      position += 6
    }
    guard let scalar = Unicode.Scalar(code) else { throw problem("an escape that stands for no character") }
    text += Array(String(Character(scalar)).utf8)
  }

  private func hexadecimal(at start: Int) -> UInt32? {
    guard start + 4 <= bytes.count else { return nil }
    var code: UInt32 = 0
    for byte in bytes[start..<(start + 4)] {
      guard let digit = PlainScalar.hexValue(byte) else { return nil }
      code = code << 4 | UInt32(digit)
    }
    return code
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipBlanks() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x0a:
        line += 1
        lineStart = position + 1
      case 0x20, 0x09, 0x0d: break
      default: return
      }
      position += 1
    }
  }

  private var location: SourceLocation { SourceLocation(file: file, line: line, column: position - lineStart + 1) }
  private func problem(_ message: String) -> Diagnostic { Diagnostic(location, message) }
}
