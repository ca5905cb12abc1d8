internal import Core
package import Wire

/// The last changes of this host's rules, in the order they were seen. It is bounded, and older ones are forgotten.
package struct ChangeLog: Hashable, Sendable {
  package static let capacity = 512
  /// Of all entries as they are written.
  package static let maximumBytes = 512 << 10
  static let fileName = "changes"
  private static let format: UInt16 = 2

  package private(set) var entries: [HostChange] = []
  /// Number of the last change there was; 0 before the first.
  package private(set) var last: UInt64 = 0
  /// The last one that is on disk.
  package private(set) var kept: UInt64 = 0
  private var sizes: [Int] = []

  package init() {}

  package var isKept: Bool { kept == last }

  /// - Parameter change: gets the next number.
  package mutating func append(_ change: HostChange) {
    var change = change
    last += 1
    change.sequence = last
    add(change)
  }

  private mutating func add(_ change: HostChange) {
    var out = ByteWriter()
    change.write(to: &out)
    entries.append(change)
    sizes.append(out.bytes.count)
    var total = sizes.reduce(0, +)
    while entries.count > Self.capacity || total > Self.maximumBytes {
      entries.removeFirst()
      total -= sizes.removeFirst()
    }
  }

  /// What to answer whoever knows the changes up to this one; nil when there is nothing after it.
  package func changes(after known: UInt64) -> Changes? {
    guard known < last else { return nil }
    let first = entries.first?.sequence ?? last + 1
    let news = entries.filter { $0.sequence > known }.prefix(WireLimit.changes)
    return Changes(
      entries: Array(news), omitted: Int(clamping: first > known ? first - known - 1 : 0),
      last: news.last?.sequence ?? last)
  }

  // MARK: On disk

  /// One that was damaged, or cannot be read, is begun anew: it is only history.
  static func read(from disk: any Disk) -> ChangeLog {
    guard let bytes = try? disk.read(fileName, atMost: 2 * maximumBytes) else { return ChangeLog() }
    return (try? ChangeLog(decoding: bytes)) ?? ChangeLog()
  }

  mutating func keep(on disk: any Disk) throws(SystemCallError) {
    guard !isKept else { return }
    try disk.replace(Self.fileName, in: ".", with: encode())
    wasKept()
  }

  /// All there is so far is on disk.
  package mutating func wasKept() { kept = last }

  func encode() -> [UInt8] {
    var content = ByteWriter()
    content.uint16(Self.format)
    content.uint64(last)
    content.uint32(UInt32(entries.count))
    for entry in entries { entry.write(to: &content) }
    var out = ByteWriter()
    out.uint32(CRC32C.checksum(content.bytes[...]))
    out.raw(content.bytes)
    return out.bytes
  }

  init(decoding bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    guard try reader.uint32("checksum") == CRC32C.checksum(bytes.dropFirst(4)),
      try reader.uint16("format") == Self.format
    else { throw .malformed(field: "changes") }
    let last = try reader.uint64("last change")
    let count = Int(try reader.uint32("number of changes"))
    guard count <= Self.capacity else { throw .malformed(field: "number of changes") }
    for _ in 0..<count { add(try HostChange(&reader)) }
    try reader.end()
    self.last = last
    kept = last
  }
}
