/// What Ansible makes of a value in an INI inventory: Python's literal where it is one, the text itself otherwise.
///
/// `80,443` is a list of two, `1_000` a number, `'a' 'b'` one text, and `0644`, `true` and `10.0.0.1` are texts.
struct PythonLiteral {
  private static let depthLimit = 64
  /// Longer values are texts: Python's own literals of this length are generated, and belong in YAML.
  private static let lengthLimit = 1 << 20

  private struct NotLiteral: Error {}

  private let bytes: [UInt8]
  private var position = 0

  static func value(of text: String) -> InventoryValue {
    // Most values are words, numbers or addresses; only these bytes begin a literal.
    guard let first = text.utf8.first(where: { $0 != 0x20 && $0 != 0x09 }), begins(first),
      text.utf8.count <= lengthLimit
    else { return .text(text) }
    var parser = PythonLiteral(bytes: Array(text.utf8))
    do throws(NotLiteral) {
      let value = try parser.tuple(until: nil, depth: 0)
      parser.skipBlanks()
      if parser.peek == UInt8(ascii: "#") { return value }
      return parser.position == parser.bytes.count ? value : .text(text)
    } catch {
      return .text(text)
    }
  }

  private static func begins(_ byte: UInt8) -> Bool {
    PlainScalar.isDigit(byte) || "+-.'\"([{".utf8.contains(byte) || "TFNrRbBuUs".utf8.contains(byte)
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// One value, or several between commas: a tuple needs no brackets.
  private mutating func tuple(until close: UInt8?, depth: Int) throws(NotLiteral) -> InventoryValue {
    let first = try value(depth: depth)
    skipBlanks()
    guard peek == UInt8(ascii: ",") else { return first }
    var values = [first]
    while skip(UInt8(ascii: ",")) {
      skipBlanks()
      if peek == nil || peek == UInt8(ascii: "#") || peek == close { break }
      values.append(try value(depth: depth))
      skipBlanks()
    }
    return .list(values)
  }

  private mutating func value(depth: Int) throws(NotLiteral) -> InventoryValue {
    skipBlanks()
    guard let byte = peek, depth < Self.depthLimit else { throw NotLiteral() }
    switch byte {
    case UInt8(ascii: "["):
      position += 1
      return .list(try items(until: UInt8(ascii: "]"), depth: depth))
    case UInt8(ascii: "("):
      position += 1
      skipBlanks()
      if skip(UInt8(ascii: ")")) { return .list([]) }
      let inner = try tuple(until: UInt8(ascii: ")"), depth: depth + 1)
      skipBlanks()
      guard skip(UInt8(ascii: ")")) else { throw NotLiteral() }
      return inner
    case UInt8(ascii: "{"):
      position += 1
      return try braces(depth: depth)
    case UInt8(ascii: "+"), UInt8(ascii: "-"):
      position += 1
      skipBlanks()
      guard let next = peek, PlainScalar.isDigit(next) || next == UInt8(ascii: ".") else { throw NotLiteral() }
      return try number(isNegative: byte == UInt8(ascii: "-"))
    case UInt8(ascii: "."):
      if bytes[position...].starts(with: "...".utf8) {
        position += 3
        return .text("...")
      }
      return try number(isNegative: false)
    case _ where PlainScalar.isDigit(byte): return try number(isNegative: false)
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return try strings()
    default: return try word()
    }
  }

  private mutating func items(until close: UInt8, depth: Int) throws(NotLiteral) -> [InventoryValue] {
    var values: [InventoryValue] = []
    skipBlanks()
    while !skip(close) {
      values.append(try value(depth: depth + 1))
      skipBlanks()
      if skip(UInt8(ascii: ",")) {
        skipBlanks()
      } else if peek != close {
        throw NotLiteral()
      }
    }
    return values
  }

  /// A mapping, or a set, which becomes a list.
  private mutating func braces(depth: Int) throws(NotLiteral) -> InventoryValue {
    skipBlanks()
    if skip(UInt8(ascii: "}")) { return .mapping([]) }
    let first = try value(depth: depth + 1)
    skipBlanks()
    guard skip(UInt8(ascii: ":")) else {
      guard skip(UInt8(ascii: ",")) || peek == UInt8(ascii: "}") else { throw NotLiteral() }
      var values = [first]
      for value in try items(until: UInt8(ascii: "}"), depth: depth) where !values.contains(value) {
        values.append(value)
      }
      return .list(values)
    }
    var entries = [InventoryValue.Entry(key: try Self.key(first), value: try value(depth: depth + 1))]
    var index = [entries[0].key: 0]
    skipBlanks()
    while skip(UInt8(ascii: ",")) {
      skipBlanks()
      if peek == UInt8(ascii: "}") { break }
      let key = try Self.key(try value(depth: depth + 1))
      skipBlanks()
      guard skip(UInt8(ascii: ":")) else { throw NotLiteral() }
      let entry = InventoryValue.Entry(key: key, value: try value(depth: depth + 1))
      if let earlier = index[key] {
        entries[earlier] = entry
      } else {
        index[key] = entries.count
        entries.append(entry)
      }
      skipBlanks()
    }
    guard skip(UInt8(ascii: "}")) else { throw NotLiteral() }
    return .mapping(entries)
  }

  /// As `json.dumps` writes keys that are no texts.
  private static func key(_ value: InventoryValue) throws(NotLiteral) -> String {
    switch value {
    case .text(let text), .real(let text), .unsafe(let text): text
    case .integer(let number): String(number)
    case .bool(let flag): flag ? "true" : "false"
    case .null: "null"
    case .list, .mapping, .vaulted: throw NotLiteral()
    }
  }

  private mutating func word() throws(NotLiteral) -> InventoryValue {
    let start = position
    while let byte = peek, PlainScalar.isDigit(byte) || byte == UInt8(ascii: "_") || byte >= 0x80 || Self.isLetter(byte)
    {
      position += 1
    }
    let word = String(decoding: bytes[start..<position], as: UTF8.self)
    if let quote = peek, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
      position = start
      return try strings()
    }
    switch word {
    case "True": return .bool(true)
    case "False": return .bool(false)
    case "None": return .null
    case "set":
      skipBlanks()
      guard skip(UInt8(ascii: "(")) else { throw NotLiteral() }
      skipBlanks()
      guard skip(UInt8(ascii: ")")) else { throw NotLiteral() }
      return .list([])
    default: throw NotLiteral()
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

  // MARK: Numbers

  private mutating func number(isNegative: Bool) throws(NotLiteral) -> InventoryValue {
    let start = position
    while let byte = peek {
      let isExponentSign =
        (byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")) && position > start
        && bytes[position - 1] | 0x20 == UInt8(ascii: "e") && !bytes[start..<position].starts(with: "0x".utf8)
        && !bytes[start..<position].starts(with: "0X".utf8)
      guard
        PlainScalar.isDigit(byte) || Self.isLetter(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
          || isExponentSign
      else { break }
      position += 1
    }
    let text = bytes[start..<position]
    guard let value = PythonNumber.literal(Array(text), isNegative: isNegative) else { throw NotLiteral() }
    return value
  }

  // MARK: Texts

  /// One or more strings, written side by side. Bytes become a text that Ansible takes no template from.
  private mutating func strings() throws(NotLiteral) -> InventoryValue {
    var text: [UInt8] = []
    var isBytes: Bool?
    while true {
      let start = position
      while let byte = peek, Self.isLetter(byte) { position += 1 }
      let prefix = String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
      guard let quote = peek, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
        position = start
        break
      }
      guard ["", "r", "u", "b", "br", "rb"].contains(prefix), isBytes == nil || isBytes == prefix.contains("b") else {
        throw NotLiteral()
      }
      isBytes = prefix.contains("b")
      try string(quote, isRaw: prefix.contains("r"), isBytes: prefix.contains("b"), into: &text)
      let end = position
      skipBlanks()
      guard let next = peek, next == UInt8(ascii: "'") || next == UInt8(ascii: "\"") || Self.isLetter(next) else {
        position = end
        break
      }
    }
    guard let valid = String(validating: text, as: UTF8.self) else { throw NotLiteral() }
    return isBytes == true ? .unsafe(valid) : .text(valid)
  }

  private mutating func string(
    _ quote: UInt8, isRaw: Bool, isBytes: Bool, into text: inout [UInt8]
  ) throws(NotLiteral) {
    let isTriple = bytes[position...].starts(with: [quote, quote, quote])
    position += isTriple ? 3 : 1
    while let byte = peek {
      if byte == quote, !isTriple || bytes[position...].starts(with: [quote, quote, quote]) {
        position += isTriple ? 3 : 1
        return
      }
      guard byte == UInt8(ascii: "\\") else {
        guard !isBytes || byte < 0x80 else { throw NotLiteral() }
        text.append(byte)
        position += 1
        continue
      }
      guard position + 1 < bytes.count else { throw NotLiteral() }
      if isRaw {
        text += bytes[position...(position + 1)]
        position += 2
      } else {
        try escape(isBytes: isBytes, into: &text)
      }
    }
    throw NotLiteral()
  }

  private mutating func escape(isBytes: Bool, into text: inout [UInt8]) throws(NotLiteral) {
    let kind = bytes[position + 1]
    position += 2
    let simple: [UInt8: UInt8] = [
      UInt8(ascii: "\\"): 0x5c, UInt8(ascii: "'"): 0x27, UInt8(ascii: "\""): 0x22, UInt8(ascii: "a"): 7,
      UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 0x0c, UInt8(ascii: "n"): 0x0a, UInt8(ascii: "r"): 0x0d,
      UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 0x0b,
    ]
    if let byte = simple[kind] { return text.append(byte) }
    switch kind {
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      var code = UInt32(kind - UInt8(ascii: "0"))
      for _ in 0..<2 {
        guard let digit = peek, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { break }
        code = code * 8 + UInt32(digit - UInt8(ascii: "0"))
        position += 1
      }
      try append(code, into: &text)
    case UInt8(ascii: "x"): try append(try hexadecimal(2), into: &text)
    case UInt8(ascii: "u") where !isBytes: try append(try hexadecimal(4), into: &text)
    case UInt8(ascii: "U") where !isBytes: try append(try hexadecimal(8), into: &text)
    // Characters by name: nobody writes them into an inventory.
    case UInt8(ascii: "N") where !isBytes: throw NotLiteral()
    default: text += [UInt8(ascii: "\\"), kind]
    }
  }

  private func append(_ code: UInt32, into text: inout [UInt8]) throws(NotLiteral) {
    guard let scalar = Unicode.Scalar(code) else { throw NotLiteral() }
    text += Array(String(Character(scalar)).utf8)
  }

  private mutating func hexadecimal(_ count: Int) throws(NotLiteral) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<count {
      guard let byte = peek, let digit = PlainScalar.hexValue(byte), code < 1 << 28 else { throw NotLiteral() }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipBlanks() {
    while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0c { position += 1 }
  }
}
