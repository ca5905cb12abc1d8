internal import Glibc

/// Files of the system that are read whole and may well be missing.
enum SmallFile {
  /// At most `limit` bytes from its beginning, or nil when it cannot be read.
  static func read(_ path: String, atMost limit: Int = 64 << 10) -> [UInt8]? {
    let raw = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard raw >= 0 else { return nil }
    let file = Descriptor(takingOwnershipOf: raw)
    var bytes = [UInt8](repeating: 0, count: limit)
    var filled = 0
    while filled < limit {
      let count = bytes.withUnsafeMutableBytes { buffer in
        uninterrupted { Glibc.read(file.raw, buffer.baseAddress! + filled, limit - filled) }
      }
      guard count >= 0 else { return nil }
      if count == 0 { break }
      filled += count
    }
    return Array(bytes.prefix(filled))
  }

  /// Its first line without spaces at the end, or nil.
  static func line(_ path: String, atMost limit: Int = 64 << 10) -> String? {
    guard let bytes = read(path, atMost: limit) else { return nil }
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line, as: UTF8.self)
  }
}
