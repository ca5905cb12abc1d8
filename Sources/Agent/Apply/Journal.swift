package import Core

/// A journal that cannot be what we wrote: a record in its middle is damaged, so that what it forgot is unknown.
package struct JournalDamage: Error, Hashable, Sendable, CustomStringConvertible {
  /// Byte offset of the first bad record.
  package let offset: Int
  package let reason: String

  package var description: String { "journal damaged at byte \(offset): \(reason)" }
}

/// The host's memory: an append-only file of records, each a u32 length, a CRC32C and a payload.
///
/// Every record is synced before the next is written, so a crash can tear only the last; a torn tail is ignored and cut
/// off. A bad record with a good one after it cannot come from a crash: that is damage, and nothing is guessed from it,
/// because a forgotten serial floor would let old releases back in.
package struct Journal {
  package static let fileName = "journal"
  /// Larger journals are rewritten as one snapshot.
  package static let compactionSize = 1 << 20
  /// No journal we write grows beyond this, since it is compacted long before.
  static let maximumSize = 4 << 20
  private static let headerSize = 8

  package private(set) var ledger: Ledger
  private let disk: any Disk
  /// Of the part that is known to be good.
  private var size: Int
  /// An append failed and may have left bytes beyond `size`.
  private var dirty = false
  /// The file took its place, and the directory may still say otherwise after a power cut.
  private var isNameUnsettled = false
  private let compactionSize: Int

  /// Opens the journal for writing, making it when there is none and cutting off a torn tail.
  package init(on disk: any Disk, compactingAt compactionSize: Int = Self.compactionSize) throws {
    self.disk = disk
    self.compactionSize = compactionSize
    // A compaction that was cut short before its rename.
    try disk.remove("\(Self.fileName).new")
    guard let bytes = try disk.read(Self.fileName, atMost: Self.maximumSize) else {
      try disk.create(Self.fileName, [])
      try disk.sync(Self.fileName)
      try disk.sync(".")
      ledger = Ledger()
      size = 0
      return
    }
    (ledger, size) = try Self.parse(bytes)
    if size < bytes.count { try disk.truncate(Self.fileName, to: size) }
    // Whoever wrote it may have been killed before its sync. From here on others are told what it says.
    try disk.sync(Self.fileName)
    try disk.sync(".")
  }

  /// What the journal says, without touching it.
  package static func read(from disk: any Disk) throws -> Ledger {
    try parse(try disk.read(fileName, atMost: maximumSize) ?? []).ledger
  }

  /// The ledger and how many bytes of good records it comes from; bytes after those are a torn tail.
  package static func parse(_ bytes: [UInt8]) throws(JournalDamage) -> (ledger: Ledger, goodBytes: Int) {
    var ledger = Ledger()
    var position = 0
    while position < bytes.count {
      guard let payload = payload(at: position, of: bytes) else {
        try requireTornTail(bytes, from: position)
        break
      }
      do {
        ledger.replay(try JournalRecord(decoding: payload))
      } catch {
        throw JournalDamage(offset: position, reason: "\(error)")
      }
      position = payload.endIndex
    }
    return (ledger, position)
  }

  /// Returns when the record is durable. On an error the record is not in the journal.
  package mutating func append(_ record: JournalRecord) throws(SystemCallError) {
    if dirty { try repair() }
    if isNameUnsettled {
      try disk.sync(".")
      isNameUnsettled = false
    }
    let framed = Self.frame(record)
    dirty = true
    do {
      try disk.append(Self.fileName, framed)
      try disk.sync(Self.fileName)
    } catch {
      // If this fails too the journal stays dirty, and the next append tries again before it writes.
      try? repair()
      throw error
    }
    dirty = false
    size += framed.count
    ledger.replay(record)
    if size > compactionSize { compact() }
  }

  private mutating func repair() throws(SystemCallError) {
    try disk.truncate(Self.fileName, to: size)
    try disk.sync(Self.fileName)
    dirty = false
  }

  /// A journal that cannot be compacted (a full disk) only stays longer than it needs to be, until the next try.
  private mutating func compact() {
    let snapshot = Self.frame(.snapshot(ledger))
    do {
      try disk.replace(Self.fileName, in: ".", with: snapshot)
      size = snapshot.count
    } catch {
      isNameUnsettled = true
      // The rename may have happened and only its sync failed; ask the file itself.
      if let bytes = try? disk.read(Self.fileName, atMost: Self.maximumSize),
        let parsed = try? Self.parse(bytes), parsed.ledger == ledger
      {
        size = parsed.goodBytes
      }
    }
  }

  static func frame(_ record: JournalRecord) -> [UInt8] {
    let payload = record.encode()
    var out = ByteWriter()
    out.uint32(UInt32(payload.count))
    out.uint32(CRC32C.checksum(payload))
    out.raw(payload)
    return out.bytes
  }

  /// The payload of a whole and unharmed record at this offset, or nil.
  private static func payload(at offset: Int, of bytes: [UInt8]) -> ArraySlice<UInt8>? {
    var reader = ByteReader(bytes[offset...])
    guard let length = try? reader.uint32("length"), (1...JournalRecord.maximumSize).contains(Int(length)),
      let checksum = try? reader.uint32("checksum"), let payload = try? reader.raw(Int(length), field: "payload"),
      CRC32C.checksum(payload) == checksum
    else { return nil }
    return payload
  }

  private static func requireTornTail(_ bytes: [UInt8], from offset: Int) throws(JournalDamage) {
    guard bytes.count - offset <= headerSize + JournalRecord.maximumSize else {
      throw JournalDamage(offset: offset, reason: "a bad record, and more after it than one record can hold")
    }
    if let next = (offset + 1..<bytes.count).first(where: { payload(at: $0, of: bytes) != nil }) {
      throw JournalDamage(offset: offset, reason: "a bad record, and a good one after it at byte \(next)")
    }
  }
}
