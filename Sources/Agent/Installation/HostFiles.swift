internal import Core
internal import Glibc

/// The few file operations of installing: whole files, owned by root, in place at once or not at all.
enum HostFiles {
  static func read(_ path: String, atMost limit: Int = 1 << 20) throws(SystemCallError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw failed("open", path)
    }
    defer { close(descriptor) }
    return try readAll(descriptor, path, atMost: limit)
  }

  static func readAll(_ descriptor: Int32, _ path: String, atMost limit: Int) throws(SystemCallError) -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw failed("read", path)
      }
      content += buffer[..<count]
      guard content.count <= limit else {
        throw SystemCallError("read", path, errno: EFBIG, meaning: "larger than \(limit) bytes")
      }
    }
  }

  static func digest(of path: String) throws(SystemCallError) -> Digest {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed("open", path) }
    defer { close(descriptor) }
    return Digest(of: try readAll(descriptor, path, atMost: 128 << 20))
  }

  static func write(_ content: [UInt8], to path: String, mode: mode_t) throws(SystemCallError) {
    let temporary = path + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw failed("create", temporary) }
    do throws(SystemCallError) {
      defer { close(descriptor) }
      var rest = content[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
          if errno == EINTR { continue }
          throw failed("write", temporary)
        }
        rest = rest.dropFirst(count)
      }
      // Not the umask's business who may read trust.
      guard fchmod(descriptor, mode) == 0 else { throw failed("chmod", temporary) }
      guard fsync(descriptor) == 0 else { throw failed("fsync", temporary) }
    } catch {
      unlink(temporary)
      throw error
    }
    try rename(temporary, path)
  }

  /// rename(2) and fsync(2) of the directory.
  static func rename(_ old: String, _ new: String) throws(SystemCallError) {
    guard Glibc.rename(old, new) == 0 else { throw failed("rename", new) }
    try synchronize(directory(of: new))
  }

  static func synchronize(_ path: String, isDirectory: Bool = true) throws(SystemCallError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (isDirectory ? O_DIRECTORY : 0))
    guard descriptor >= 0 else { throw failed("open", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failed("fsync", path) }
  }

  /// Makes the directory and those above it; the last one gets exactly this mode.
  static func makeDirectory(_ path: String, mode: mode_t) throws(SystemCallError) {
    var built = ""
    for part in path.split(separator: "/") {
      built += "/" + part
      if mkdir(built, 0o755) != 0, errno != EEXIST { throw failed("mkdir", built) }
    }
    guard chmod(path, mode) == 0 else { throw failed("chmod", path) }
  }

  static func link(_ path: String, to target: String) throws(SystemCallError) {
    if readLink(path) == target { return }
    let temporary = path + ".new"
    unlink(temporary)
    guard symlink(target, temporary) == 0 else { throw failed("symlink", temporary) }
    try rename(temporary, path)
  }

  static func readLink(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }

  static func exists(_ path: String) -> Bool {
    var facts = stat()
    return lstat(path, &facts) == 0
  }

  /// A file or link; one that is not there is not an error.
  static func remove(_ path: String) throws(SystemCallError) {
    if unlink(path) != 0, errno != ENOENT { throw failed("remove", path) }
  }

  /// A directory with everything in it, following no link; one that is not there is not an error.
  static func removeTree(_ path: String) throws(SystemCallError) {
    var facts = stat()
    guard lstat(path, &facts) == 0 else {
      if errno == ENOENT { return }
      throw failed("stat", path)
    }
    guard facts.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
    for name in try names(in: path) { try removeTree(path + "/" + name) }
    guard rmdir(path) == 0 else { throw failed("rmdir", path) }
  }

  static func names(in path: String) throws(SystemCallError) -> [String] {
    guard let handle = opendir(path) else { throw failed("open", path) }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  static func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  private static func failed(_ call: String, _ path: String) -> SystemCallError {
    SystemCallError(call, path, errno: errno, meaning: String(cString: strerror(errno)))
  }
}
