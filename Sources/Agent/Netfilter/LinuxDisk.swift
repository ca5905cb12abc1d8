internal import Apply
package import Core
internal import Glibc

/// A directory of this machine. The directory's own path may contain links (a state directory on another disk is the
/// administrator's business); below it every component is opened without following one, so that nothing swapped in
/// between two calls can lead out of it.
package final class LinuxDisk: Disk {
  private let path: String
  private let directory: Int32

  /// The directory must exist.
  package init(_ path: String) throws(SystemCallError) {
    self.path = path
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw .last("open", path) }
  }

  deinit { close(directory) }

  /// Makes a directory and those above it, for their owner, with passage for everyone: the unprivileged login's home
  /// stands below it.
  package static func makePath(_ path: String) throws(SystemCallError) {
    var made = path.hasPrefix("/") ? "" : "."
    for component in path.split(separator: "/") {
      made += "/\(component)"
      guard mkdir(made, 0o711) == 0 || errno == EEXIST else { throw .last("mkdir", made) }
    }
  }

  // MARK: - Disk

  package func read(_ name: String, atMost limit: Int) throws(SystemCallError) -> [UInt8]? {
    let file: Descriptor
    do {
      file = try openFile(name, O_RDONLY | O_NONBLOCK)
    } catch  where error.errno == ENOENT {
      return nil
    }
    var status = stat()
    guard fstat(file.raw, &status) == 0 else { throw .last("fstat", shown(name)) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .of("read", shown(name), errno: EINVAL) }
    guard status.st_size <= limit else { throw .of("read", shown(name), errno: EFBIG) }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        uninterrupted { Glibc.read(file.raw, buffer.baseAddress! + filled, buffer.count - filled) }
      }
      guard count >= 0 else { throw .last("read", shown(name)) }
      if count == 0 { break }
      filled += count
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  package func create(_ name: String, _ content: [UInt8]) throws(SystemCallError) {
    try write(content, to: openFile(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600), name)
  }

  package func append(_ name: String, _ content: [UInt8]) throws(SystemCallError) {
    try write(content, to: openFile(name, O_WRONLY | O_APPEND), name)
  }

  package func truncate(_ name: String, to size: Int) throws(SystemCallError) {
    let file = try openFile(name, O_WRONLY)
    guard uninterrupted({ ftruncate(file.raw, off_t(size)) }) == 0 else { throw .last("ftruncate", shown(name)) }
  }

  package func sync(_ name: String) throws(SystemCallError) {
    let file = try openFile(name, O_RDONLY)
    guard uninterrupted({ fsync(file.raw) }) == 0 else { throw .last("fsync", shown(name)) }
  }

  package func rename(_ old: String, to new: String) throws(SystemCallError) {
    let from = try parent(of: old)
    let to = try parent(of: new)
    guard renameat(from.raw, Self.leaf(old), to.raw, Self.leaf(new)) == 0 else {
      throw .last("rename", "\(shown(old)) to \(shown(new))")
    }
  }

  package func makeDirectory(_ name: String) throws(SystemCallError) {
    let parent = try parent(of: name)
    guard mkdirat(parent.raw, Self.leaf(name), 0o700) == 0 else { throw .last("mkdir", shown(name)) }
  }

  package func link(_ name: String, to target: String) throws(SystemCallError) {
    let parent = try parent(of: name)
    guard symlinkat(target, parent.raw, Self.leaf(name)) == 0 else { throw .last("symlink", shown(name)) }
  }

  package func linkTarget(_ name: String) throws(SystemCallError) -> String? {
    let parent: Descriptor
    do {
      parent = try self.parent(of: name)
    } catch  where error.errno == ENOENT {
      return nil
    }
    var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = target.withUnsafeMutableBytes { buffer in
      readlinkat(parent.raw, Self.leaf(name), buffer.baseAddress!.assumingMemoryBound(to: CChar.self), buffer.count)
    }
    guard count >= 0 else {
      // EINVAL: something is there, but it is no link.
      if errno == ENOENT || errno == EINVAL { return nil }
      throw .last("readlink", shown(name))
    }
    return String(decoding: target.prefix(count), as: UTF8.self)
  }

  package func list(_ name: String) throws(SystemCallError) -> [String] {
    let raw: Int32
    do {
      let file = try openFile(name, O_RDONLY | O_DIRECTORY)
      // The stream will own its descriptor and close it.
      raw = fcntl(file.raw, F_DUPFD_CLOEXEC, 3)
    } catch  where error.errno == ENOENT {
      return []
    }
    guard raw >= 0 else { throw .last("dup", shown(name)) }
    guard let stream = fdopendir(raw) else {
      let failure = SystemCallError.last("fdopendir", shown(name))
      close(raw)
      throw failure
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let entryName = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if entryName != "." && entryName != ".." { names.append(entryName) }
      errno = 0
    }
    guard errno == 0 else { throw .last("readdir", shown(name)) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  package func remove(_ name: String) throws(SystemCallError) { try unlink(name, flags: 0) }

  package func removeDirectory(_ name: String) throws(SystemCallError) { try unlink(name, flags: AT_REMOVEDIR) }

  // MARK: - Parts

  private func unlink(_ name: String, flags: Int32) throws(SystemCallError) {
    do throws(SystemCallError) {
      let parent = try parent(of: name)
      guard unlinkat(parent.raw, Self.leaf(name), flags) == 0 else { throw SystemCallError.last("unlink", shown(name)) }
    } catch  where error.errno == ENOENT {
      return
    }
  }

  private func write(_ content: [UInt8], to file: Descriptor, _ name: String) throws(SystemCallError) {
    let raw = file.raw
    var written = 0
    while written < content.count {
      let count = content.withUnsafeBytes { buffer in
        uninterrupted { Glibc.write(raw, buffer.baseAddress! + written, buffer.count - written) }
      }
      guard count > 0 else { throw count == 0 ? .of("write", shown(name), errno: EIO) : .last("write", shown(name)) }
      written += count
    }
  }

  private func openFile(_ name: String, _ flags: Int32, mode: mode_t = 0) throws(SystemCallError) -> Descriptor {
    let parent = try parent(of: name)
    let flags = flags | O_CLOEXEC | O_NOFOLLOW
    let raw = uninterrupted { openat(parent.raw, Self.leaf(name), flags, mode) }
    guard raw >= 0 else { throw .last("open", shown(name)) }
    return Descriptor(takingOwnershipOf: raw)
  }

  /// The directory that holds the name, each component on the way opened as a directory and not as a link.
  private func parent(of name: String) throws(SystemCallError) -> Descriptor {
    var raw = fcntl(directory, F_DUPFD_CLOEXEC, 3)
    guard raw >= 0 else { throw .last("dup", path) }
    for component in name.split(separator: "/").dropLast() {
      let next = openat(raw, String(component), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
      let failure = next < 0 ? SystemCallError.last("open", shown(name)) : nil
      close(raw)
      if let failure { throw failure }
      raw = next
    }
    return Descriptor(takingOwnershipOf: raw)
  }

  private static func leaf(_ name: String) -> String { String(name.split(separator: "/").last ?? ".") }

  private func shown(_ name: String) -> String { "\(path)/\(name)" }
}
