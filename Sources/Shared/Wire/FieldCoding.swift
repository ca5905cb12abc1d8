internal import Core

// Fields that several messages share. Readers check everything; writers clip what a host's own programs printed, so
// that a long line there can never make an answer that the controller must refuse.

extension ByteReader {
  mutating func digest(_ field: String) throws(Problem) -> Digest {
    Digest(bytes: try raw(Digest.byteCount, field: field))!
  }

  mutating func transaction() throws(Problem) -> TransactionID {
    TransactionID(bytes: try raw(TransactionID.byteCount, field: "transaction"))!
  }

  mutating func nonce() throws(Problem) -> Nonce { Nonce(bytes: try raw(Nonce.byteCount, field: "nonce"))! }

  mutating func serial(_ field: String = "serial") throws(Problem) -> Serial { Serial(try uint64(field)) }

  mutating func host() throws(Problem) -> HostID {
    guard let host = HostID(try text("host", atMost: HostID.maximumLength)) else { throw .malformed(field: "host") }
    return host
  }

  mutating func fleet() throws(Problem) -> FleetID {
    guard let fleet = FleetID(try text("fleet", atMost: FleetID.maximumLength)) else {
      throw .malformed(field: "fleet")
    }
    return fleet
  }

  /// Seconds since 1970, up to the end of the year 9999.
  mutating func time(_ field: String) throws(Problem) -> UTCTime {
    let seconds = try uint64(field)
    guard seconds <= UTCTime.lastSecond else { throw .malformed(field: field) }
    return UTCTime(secondsSinceEpoch: Int64(seconds))
  }

  mutating func family() throws(Problem) -> Family {
    switch try uint8("family") {
    case 0: .ipv4
    case 1: .ipv6
    default: throw .malformed(field: "family")
    }
  }

  /// A byte that is one of a closed set.
  mutating func one<Value: RawRepresentable<UInt8>>(of type: Value.Type, _ field: String) throws(Problem) -> Value {
    guard let value = Value(rawValue: try uint8(field)) else { throw .malformed(field: field) }
    return value
  }

  /// A count, checked against its limit before anyone reserves memory for it.
  mutating func count(_ field: String, atMost limit: Int) throws(Problem) -> Int {
    let count = Int(try uint32(field))
    guard count <= limit else { throw .tooLong(field: field, length: count, limit: limit) }
    return count
  }

  mutating func optional<Value>(
    _ field: String, _ read: (inout ByteReader) throws(Problem) -> Value
  ) throws(Problem) -> Value? {
    try bool(field) ? try read(&self) : nil
  }

  mutating func bundleFile() throws(Problem) -> BundleFile {
    let role = try uint8("role of file")
    let index = Int(try uint8("index of file"))
    switch (role, index) {
    case (0, 0): return .statement
    case (1, 0..<BundleFile.maximumSignatures): return .signature(index)
    case (2, 0): return .manifest
    case (3, 0): return .proof
    case (4, 0): return .rules(.ipv4)
    case (4, 1): return .rules(.ipv6)
    case (5, 0): return .sets
    case (6, 0): return .sysctl
    case (7, 0..<2 * BundleFile.maximumProfiles): return .lockdown(index / 2, index % 2 == 0 ? .ipv4 : .ipv6)
    default: throw .malformed(field: "role of file")
    }
  }
}

extension ByteWriter {
  mutating func digest(_ digest: Digest) { raw(digest.bytes) }
  mutating func serial(_ serial: Serial) { uint64(serial.value) }
  mutating func family(_ family: Family) { uint8(family == .ipv4 ? 0 : 1) }

  /// A host's clock may be wrong by any amount; what has no place in the format becomes the nearest that has.
  mutating func time(_ time: UTCTime) {
    uint64(min(UInt64(max(0, time.secondsSinceEpoch)), UTCTime.lastSecond))
  }

  /// At most `limit` bytes, cut between characters of UTF-8.
  mutating func clipped(_ content: String, to limit: Int) {
    let bytes = Array(content.utf8)
    guard bytes.count > limit else { return string(bytes) }
    var end = limit
    // A byte 10xxxxxx continues the character before it.
    while end > 0, bytes[end] & 0b1100_0000 == 0b1000_0000 { end -= 1 }
    string(bytes[..<end])
  }

  /// What does not fit a u32 becomes its nearest value.
  mutating func clamped(_ count: Int) { uint32(UInt32(clamping: count)) }

  mutating func optional<Value>(_ value: Value?, _ write: (inout ByteWriter, Value) -> Void) {
    bool(value != nil)
    if let value { write(&self, value) }
  }

  mutating func bundleFile(_ file: BundleFile) {
    let (role, index) =
      switch file {
      case .statement: (0, 0)
      case .signature(let index): (1, index)
      case .manifest: (2, 0)
      case .proof: (3, 0)
      case .rules(.ipv4): (4, 0)
      case .rules(.ipv6): (4, 1)
      case .sets: (5, 0)
      case .sysctl: (6, 0)
      case .lockdown(let index, .ipv4): (7, 2 * index)
      case .lockdown(let index, .ipv6): (7, 2 * index + 1)
      }
    uint8(UInt8(role))
    uint8(UInt8(clamping: index))
  }
}

extension UTCTime {
  /// 9999-12-31T23:59:59Z
  fileprivate static let lastSecond: UInt64 = 253_402_300_799
}
