internal import Core
internal import Glibc

/// Files and folders that people wrote, read without trusting their size or kind.
package enum BoundedFile {
  /// Why a file could not be read, in words that follow its name: "no such file".
  package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package let isMissing: Bool
  }

  /// The bytes of a regular file of at most `limit` bytes. A pipe or device is refused instead of waited for; a
  /// symbolic link is followed.
  package static func read(_ path: String, limit: Int) throws(Problem) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw problem() }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw problem() }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Problem(
        description: status.st_mode & S_IFMT == S_IFDIR ? "is a directory, not a file" : "is not a regular file",
        isMissing: false)
    }
    // One byte more than allowed is asked for, so that a file that grows meanwhile is seen too.
    var bytes = [UInt8](repeating: 0, count: min(max(0, Int(status.st_size)), limit) + 1)
    var count = 0
    while count < bytes.count {
      let received = bytes.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
      }
      if received < 0 && errno == EINTR { continue }
      guard received >= 0 else { throw problem() }
      if received == 0 { break }
      count += received
    }
    guard count <= limit else {
      throw Problem(description: "is larger than \(limit >> 20) MiB", isMissing: false)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  package static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0
  }

  /// Whether anybody may execute it.
  static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

  /// The same path from the root of the file system; symbolic links stay.
  static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(cString: folder) + "/" + path
  }

  /// The names in a folder in ASCII order, without `.`, `..` and other hidden ones.
  package static func names(in directory: String) throws(Problem) -> [String] {
    guard let handle = opendir(directory) else { throw problem() }
    defer { closedir(handle) }
    var names: [[UInt8]] = []
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name.first != UInt8(ascii: ".") { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
  }

  /// The path with every symbolic link resolved, or nil when it does not exist.
  package static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  private static func problem() -> Problem {
    let code = errno
    return Problem(
      description: code == ENOENT ? "no such file" : String(cString: strerror(code)), isMissing: code == ENOENT)
  }
}
