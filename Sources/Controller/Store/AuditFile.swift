internal import CLinux
internal import Core
internal import Glibc

/// The audit log's open file. Whoever reads or writes it holds its lock.
final class AuditFile {
  let path: String
  private let descriptor: Int32

  private init(path: String, flags: Int32) throws {
    self.path = path
    descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.error("open", path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error("look at", path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Reason("it is not a plain file") }
  }

  deinit { close(descriptor) }

  /// Makes it, the owner's alone, when there is none.
  static func toAppend(_ path: String) throws -> AuditFile {
    let file = try AuditFile(path: path, flags: O_RDWR | O_CREAT | O_APPEND)
    if try file.size() == 0 { try file.synchronizeDirectory() }
    return file
  }

  /// The same, locked, and still the file of that name: another process may have put a new one in its place meanwhile.
  static func toAppendAlone(_ path: String) throws -> AuditFile {
    while true {
      let file = try toAppend(path)
      try file.lock(.exclusive)
      var (own, named) = (stat(), stat())
      guard fstat(file.descriptor, &own) == 0 else { throw error("look at", path) }
      if lstat(path, &named) == 0, own.st_ino == named.st_ino, own.st_dev == named.st_dev { return file }
    }
  }

  static func toRead(_ path: String) throws -> AuditFile { try AuditFile(path: path, flags: O_RDONLY) }

  enum Lock { case shared, exclusive }

  /// A line takes milliseconds: who holds the lock for ten seconds is no writer of ours.
  func lock(_ lock: Lock) throws {
    for _ in 0..<1000 {
      if flock(descriptor, (lock == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 { return }
      guard errno == EWOULDBLOCK || errno == EINTR else { throw Self.error("lock", path) }
      usleep(10_000)
    }
    throw Failure("lock it", because: Reason("another process holds it"), hint: "find it with 'lsof \(path)'")
  }

  /// - Throws: when its first line is no entry.
  func first() throws -> AuditLine? {
    let bytes = try read(from: 0, count: AuditLine.limit)
    return try bytes.firstIndex(of: UInt8(ascii: "\n")).map { try AuditLine(parsing: bytes[..<$0]) }
  }

  /// Lines from the end on, in pieces that grow, until one of them has what is looked for: what is new in a long log
  /// costs no more than in a short one. Each piece has its lines in order, and begins anew.
  func fromEnd<Found>(_ find: ([ArraySlice<UInt8>]) -> Found?) throws -> Found? {
    let size = try size()
    var span = 1 << 16
    while true {
      let start = max(0, size - span)
      var lines = try read(from: start, count: size - start).split(separator: UInt8(ascii: "\n"))
      // It may have begun before.
      if start > 0, !lines.isEmpty { lines.removeFirst() }
      if let found = find(lines) { return found }
      guard start > 0 else { return nil }
      span *= 4
    }
  }

  struct Last {
    /// Nil when the file has no whole line.
    let line: AuditLine?
    /// After the last whole line.
    let end: Int
    /// Bytes after it.
    let torn: Int
  }

  /// - Throws: `Unusable` when the last whole line is no entry.
  func last() throws -> Last {
    let size = try size()
    let start = max(0, size - 2 * AuditLine.limit)
    let tail = try read(from: start, count: size - start)
    guard let end = tail.lastIndex(of: UInt8(ascii: "\n")) else {
      guard start == 0 else { throw Unusable(why: Reason("its last line is longer than any entry")) }
      return Last(line: nil, end: 0, torn: size)
    }
    let before = tail[..<end].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    do {
      return Last(
        line: try AuditLine(parsing: tail[before..<end]), end: start + end + 1, torn: tail.count - end - 1)
    } catch {
      throw Unusable(why: error)
    }
  }

  /// Moves what stands after the last whole line to a file of its own.
  /// - Returns: its path.
  func setAside(_ last: Last) throws -> String {
    let bytes = try read(from: last.end, count: last.torn)
    let kept = freeName("torn")
    let copy = open(kept, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard copy >= 0 else { throw Self.error("create", kept) }
    defer { close(copy) }
    try Self.writeAll(bytes, to: copy, kept)
    guard fsync(copy) == 0 else { throw Self.error("fsync", kept) }
    try synchronizeDirectory()
    guard ftruncate(descriptor, off_t(last.end)) == 0 else { throw Self.error("truncate", path) }
    return kept
  }

  /// All or nothing, on the disk when it returns.
  /// - Parameters:
  ///   - end: where the file ends.
  ///   - room: bytes after these that the disk must have free for the file.
  func append(_ bytes: [UInt8], at end: Int, keepingFree room: Int) throws {
    if room > 0 {
      let status = clinux_keep_room(descriptor, off_t(end), off_t(bytes.count + room))
      // File systems without it can only be tried.
      guard status == 0 || [EOPNOTSUPP, ENOSYS, EINVAL].contains(errno) else { throw Self.error("make room in", path) }
    }
    do {
      try Self.writeAll(bytes, to: descriptor, path)
      guard fsync(descriptor) == 0 else { throw Self.error("fsync", path) }
    } catch {
      // Half a line that nobody was told of.
      _ = ftruncate(descriptor, off_t(end))
      throw error
    }
  }

  /// Every line without its line feed, in order; the last one may lack it. Longer ones than any entry are cut.
  func lines(_ body: (_ number: Int, _ line: [UInt8], _ isWhole: Bool) throws -> Void) throws {
    var line: [UInt8] = []
    var number = 1
    var offset = 0
    while true {
      let chunk = try read(from: offset, count: 1 << 18)
      guard !chunk.isEmpty else { break }
      offset += chunk.count
      var rest = chunk[...]
      while let feed = rest.firstIndex(of: UInt8(ascii: "\n")) {
        line += rest[..<feed].prefix(AuditLine.limit + 1 - min(line.count, AuditLine.limit))
        try body(number, line, true)
        number += 1
        line = []
        rest = rest[(feed + 1)...]
      }
      line += rest.prefix(AuditLine.limit + 1 - min(line.count, AuditLine.limit))
    }
    if !line.isEmpty { try body(number, line, false) }
  }

  /// Of all its bytes.
  func digest() throws -> Digest {
    var builder = DigestBuilder()
    var offset = 0
    while true {
      let chunk = try read(from: offset, count: 1 << 18)
      guard !chunk.isEmpty else { return builder.finish() }
      builder.update(chunk)
      offset += chunk.count
    }
  }

  // MARK: - System calls

  private func size() throws -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error("look at", path) }
    return Int(status.st_size)
  }

  /// Fewer only at the end of the file.
  private func read(from offset: Int, count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var chunk = [UInt8](repeating: 0, count: count - bytes.count)
      let got = pread(descriptor, &chunk, chunk.count, off_t(offset + bytes.count))
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw Self.error("read", path) }
      guard got > 0 else { break }
      bytes += chunk.prefix(got)
    }
    return bytes
  }

  static func writeAll(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw error("write", path) }
      rest = rest.dropFirst(count)
    }
  }

  func synchronizeDirectory() throws {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Self.error("open", folder) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw Self.error("fsync", folder) }
  }

  static func error(_ call: String, _ path: String) -> SystemCallError {
    let number = errno
    return SystemCallError(call, SafeText.escape(path), errno: number, meaning: String(cString: strerror(number)))
  }
}
