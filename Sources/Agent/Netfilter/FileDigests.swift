internal import Core
internal import Glibc

/// Digests of files. One is read again only when the kernel says that it is another file or was written since: an agent
/// of 15 MB is not hashed for every report.
struct FileDigests {
  static let maximumSize: Int64 = 256 << 20

  private struct Known {
    let identity: FileIdentity
    let digest: Digest
  }

  private var known: [String: Known] = [:]
  /// How often a file was read.
  private(set) var reads = 0

  /// Of a plain file's content, or of where a link leads. Nil for what is not there, cannot be read or is something else.
  mutating func digest(of path: String) -> Digest? {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      known[path] = nil
      return nil
    }
    if let known = known[path], known.identity == FileIdentity(status) { return known.digest }
    known[path] = nil
    reads += 1
    switch status.st_mode & S_IFMT {
    case S_IFLNK: return Self.target(of: path).map { Digest(ofLinkTo: $0) }
    case S_IFREG: return content(of: path)
    default: return nil
    }
  }

  private mutating func content(of path: String) -> Digest? {
    // Whatever has taken its place meanwhile: nothing that opening or reading would wait for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.maximumSize,
      let digest = Self.hash(descriptor)
    else { return nil }
    if Self.isSettled(status) { known[path] = Known(identity: FileIdentity(status), digest: digest) }
    return digest
  }

  /// The kernel's time of a change is coarse: two of them may have the same one.
  private static func isSettled(_ status: stat) -> Bool {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return status.st_ctim.tv_sec + 1 < now.tv_sec
  }

  private static func hash(_ descriptor: Int32) -> Digest? {
    var builder = DigestBuilder()
    var left = maximumSize
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count == 0 { return builder.finish() }
      if count < 0 {
        if errno == EINTR { continue }
        return nil
      }
      // One that grows while it is read.
      left -= Int64(count)
      guard left >= 0 else { return nil }
      buffer.withUnsafeBytes { builder.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }

  private static func target(of path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }
}
