/// The way SSH writes things (RFC 4251 §5): big-endian integers, and strings as a u32 length and bytes. Used for
/// SSHSIG and for our own frames, so that there is one reader to attack.
package struct ByteReader: Sendable {
  package enum Problem: Error, Hashable, Sendable {
    /// The input ends inside a field.
    case truncated(field: String)
    /// A length is over its limit; nothing was allocated for it.
    case tooLong(field: String, length: Int, limit: Int)
    /// Bytes are left after the last field.
    case trailing(count: Int)
    /// A field's bytes are not of its form.
    case malformed(field: String)
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  package init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  package init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  package var remaining: Int { bytes.endIndex - position }

  package mutating func raw(_ count: Int, field: String) throws(Problem) -> ArraySlice<UInt8> {
    guard count <= remaining else { throw .truncated(field: field) }
    defer { position += count }
    return bytes[position..<position + count]
  }

  package mutating func uint8(_ field: String) throws(Problem) -> UInt8 { try raw(1, field: field).first! }

  package mutating func uint16(_ field: String) throws(Problem) -> UInt16 {
    try raw(2, field: field).reduce(0) { $0 << 8 | UInt16($1) }
  }

  package mutating func uint32(_ field: String) throws(Problem) -> UInt32 {
    try raw(4, field: field).reduce(0) { $0 << 8 | UInt32($1) }
  }

  package mutating func uint64(_ field: String) throws(Problem) -> UInt64 {
    try raw(8, field: field).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// 0 or 1; any other byte is malformed.
  package mutating func bool(_ field: String) throws(Problem) -> Bool {
    switch try uint8(field) {
    case 0: false
    case 1: true
    default: throw .malformed(field: field)
    }
  }

  /// A u32 length and that many bytes, at most `limit`.
  package mutating func string(_ field: String, atMost limit: Int) throws(Problem) -> ArraySlice<UInt8> {
    let length = Int(try uint32(field))
    guard length <= limit else { throw .tooLong(field: field, length: length, limit: limit) }
    return try raw(length, field: field)
  }

  /// A string that must be valid UTF-8.
  package mutating func text(_ field: String, atMost limit: Int) throws(Problem) -> String {
    guard let text = String(validating: try string(field, atMost: limit), as: UTF8.self) else {
      throw .malformed(field: field)
    }
    return text
  }

  /// Throws unless everything was read.
  package func end() throws(Problem) {
    guard remaining == 0 else { throw .trailing(count: remaining) }
  }
}

extension ByteReader.Problem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .truncated(let field): "truncated in \(field)"
    case .tooLong(let field, let length, let limit): "\(field) has \(length) bytes, more than the \(limit) allowed"
    case .trailing(let count): "\(count) bytes after the last field"
    case .malformed(let field): "\(field) is malformed"
    }
  }
}

package struct ByteWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  /// With room for so many bytes.
  package init(capacity: Int) { bytes.reserveCapacity(capacity) }

  package mutating func raw(_ content: some Sequence<UInt8>) { bytes.append(contentsOf: content) }
  package mutating func uint8(_ value: UInt8) { bytes.append(value) }
  package mutating func uint16(_ value: UInt16) { integer(value) }
  package mutating func uint32(_ value: UInt32) { integer(value) }
  package mutating func uint64(_ value: UInt64) { integer(value) }
  package mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

  package mutating func string(_ content: some Collection<UInt8>) {
    uint32(UInt32(content.count))
    raw(content)
  }

  /// The same, without the cost of asking what kind of collection it is: a packet filter has millions of small parts.
  package mutating func string(_ content: ArraySlice<UInt8>) {
    uint32(UInt32(content.count))
    bytes.append(contentsOf: content)
  }

  package mutating func text(_ content: String) { string(content.utf8) }

  private mutating func integer(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }
}
