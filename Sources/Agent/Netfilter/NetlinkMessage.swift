/// Netlink messages as rtnetlink(7) describes them: a header, a fixed part of the message's own, and attributes, each
/// of a length, a type and bytes, aligned to four. All numbers are in the host's byte order.
struct NetlinkMessage: Hashable, Sendable {
  static let headerSize = 16

  enum Flag {
    static let request: UInt16 = 0x1
    static let acknowledge: UInt16 = 0x4
    static let dump: UInt16 = 0x300
    static let exclusive: UInt16 = 0x200
    static let create: UInt16 = 0x400
  }

  var type: UInt16
  var flags: UInt16
  /// The fixed part and the attributes.
  var payload: [UInt8]

  init(_ type: UInt16, flags: UInt16, fixed: [UInt8], attributes: [[UInt8]]) {
    self.type = type
    self.flags = flags
    payload = fixed + attributes.flatMap { $0 }
  }

  func encode(sequence: UInt32) -> [UInt8] {
    Self.native(UInt32(Self.headerSize + payload.count)) + Self.native(type) + Self.native(flags)
      + Self.native(sequence) + Self.native(UInt32(0)) + payload
  }

  static func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

  static func attribute(_ type: UInt16, _ content: [UInt8]) -> [UInt8] {
    let padding = [UInt8](repeating: 0, count: (4 - content.count % 4) % 4)
    return native(UInt16(4 + content.count)) + native(type) + content + padding
  }

  static func attribute(_ type: UInt16, text: String) -> [UInt8] { attribute(type, Array(text.utf8) + [0]) }

  static func attribute(_ type: UInt16, number: UInt32) -> [UInt8] { attribute(type, native(number)) }

  /// NLA_F_NESTED.
  static func nested(_ type: UInt16, _ attributes: [UInt8]...) -> [UInt8] {
    attribute(type | 0x8000, attributes.flatMap { $0 })
  }
}

/// A message as the kernel sent it.
struct NetlinkReply: Hashable, Sendable {
  let type: UInt16
  let flags: UInt16
  let sequence: UInt32
  /// The address of the socket whose request it answers or announces.
  let socket: UInt32
  let payload: ArraySlice<UInt8>

  /// All whole messages of one datagram; what does not parse ends it.
  static func all(in datagram: [UInt8]) -> [NetlinkReply] { all(in: datagram[...]) }

  static func all(in datagram: ArraySlice<UInt8>) -> [NetlinkReply] {
    var replies: [NetlinkReply] = []
    var rest = datagram
    while rest.count >= NetlinkMessage.headerSize {
      let length = Int(number(rest, at: 0, as: UInt32.self))
      guard length >= NetlinkMessage.headerSize, length <= rest.count else { break }
      replies.append(
        NetlinkReply(
          type: number(rest, at: 4, as: UInt16.self), flags: number(rest, at: 6, as: UInt16.self),
          sequence: number(rest, at: 8, as: UInt32.self),
          socket: number(rest, at: 12, as: UInt32.self),
          payload: rest.dropFirst(NetlinkMessage.headerSize).prefix(length - NetlinkMessage.headerSize)))
      rest = rest.dropFirst((length + 3) / 4 * 4)
    }
    return replies
  }

  /// Content by type, after a fixed part of so many bytes. Of one type the last counts.
  func attributes(after fixed: Int) -> [UInt16: ArraySlice<UInt8>] {
    Dictionary(fields(after: fixed).map { ($0.type, $0.content) }) { _, last in last }
  }

  /// The same in their order, without a dictionary for each message: there may be a hundred thousand.
  func fields(after fixed: Int) -> NetlinkFields { NetlinkFields(payload.dropFirst((fixed + 3) / 4 * 4)) }

  /// The attributes inside of one.
  static func list(_ bytes: ArraySlice<UInt8>) -> NetlinkFields { NetlinkFields(bytes) }

  func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number? {
    payload.count >= offset + MemoryLayout<Number>.size ? Self.number(payload, at: offset, as: type) : nil
  }

  static func number<Number: FixedWidthInteger>(
    _ bytes: ArraySlice<UInt8>, at offset: Int, as _: Number.Type
  ) -> Number {
    var value = Number.zero
    let part = bytes.dropFirst(offset).prefix(MemoryLayout<Number>.size)
    withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: part) }
    return value
  }
}

/// Attributes in their order, taken apart as they are asked for; what does not parse ends them.
struct NetlinkFields: Sequence, IteratorProtocol {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  mutating func next() -> (type: UInt16, content: ArraySlice<UInt8>)? {
    let start = rest.startIndex
    guard rest.count >= 4 else { return nil }
    let length = Int(number(at: start))
    guard length >= 4, length <= rest.count else { return nil }
    let content = rest[start + 4..<start + length]
    // Without the bits that say how it is encoded.
    let type = number(at: start + 2) & 0x3fff
    rest = rest[Swift.min(rest.endIndex, start + (length + 3) / 4 * 4)...]
    return (type, content)
  }

  /// The first of a type.
  subscript(type: UInt16) -> ArraySlice<UInt8>? {
    var fields = self
    while let field = fields.next() { if field.type == type { return field.content } }
    return nil
  }

  private func number(at index: Int) -> UInt16 {
    rest.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index - rest.startIndex, as: UInt16.self) }
  }
}
