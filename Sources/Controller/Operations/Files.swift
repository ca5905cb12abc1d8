package import Core
package import Glibc
internal import Inventory

/// The controller's own small files: keys, trust, exported bundles.
package enum Files {
  /// The whole of a regular file, or an error that names it. `limit` is in bytes.
  package static func read(_ path: String, atMost limit: Int = 16 << 20) throws(Failure) -> [UInt8] {
    do throws(BoundedFile.Problem) {
      return try BoundedFile.read(path, limit: limit)
    } catch {
      throw Failure("read \(SafeText.escape(path))", because: error)
    }
  }

  package static func exists(_ path: String) -> Bool { BoundedFile.exists(path) }

  /// Writes the whole file under a temporary name, makes it durable, and renames it into place, so that a crash leaves
  /// the old content or the new.
  package static func write(_ content: [UInt8], to path: String, mode: mode_t = 0o644) throws {
    try place(content, at: path, mode) { rename($0, path) == 0 ? nil : error("rename", path) }
  }

  /// The same for a file that must be new: whatever has its name stays, also a link to nowhere.
  package static func create(_ content: [UInt8], at path: String, mode: mode_t = 0o644) throws {
    try place(content, at: path, mode) { temporary in
      guard link(temporary, path) == 0 else { return error("create", path) }
      unlink(temporary)
      return nil
    }
  }

  /// - Parameter name: gives the temporary file its name.
  private static func place(
    _ content: [UInt8], at path: String, _ mode: mode_t, _ name: (String) -> SystemCallError?
  ) throws {
    // A name of its own: two writers at once must not rename each other's half.
    let temporary = "\(path).\(getpid()).\(UInt32.random(in: .min ... .max)).new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw error("create", temporary) }
    do {
      defer { close(descriptor) }
      try writeAll(content, to: descriptor, path: temporary)
      guard fsync(descriptor) == 0 else { throw error("fsync", temporary) }
    } catch {
      unlink(temporary)
      throw error
    }
    if let failure = name(temporary) {
      unlink(temporary)
      throw failure
    }
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    try synchronizeDirectory(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
  }

  /// As mkdir -p; directories that exist are left as they are.
  package static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws {
    var built = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      built += (built.isEmpty || built.hasSuffix("/") ? "" : "/") + part
      if mkdir(built, mode) != 0, errno != EEXIST { throw error("mkdir", built) }
    }
  }

  private static func writeAll(_ content: [UInt8], to descriptor: Int32, path: String) throws {
    var rest = content[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw error("write", path)
      }
      rest = rest.dropFirst(count)
    }
  }

  private static func synchronizeDirectory(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw error("open", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw error("fsync", path) }
  }

  private static func error(_ call: String, _ path: String) -> SystemCallError {
    SystemCallError(call, SafeText.escape(path), errno: errno, meaning: String(cString: strerror(errno)))
  }
}
