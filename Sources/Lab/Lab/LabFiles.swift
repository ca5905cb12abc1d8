internal import CLinux
internal import Core
internal import Foundation
internal import Glibc

/// Files as a lab writes them: whole, with a stated mode, errors that name the path.
enum LabFiles {
  static func failed(_ call: String, _ object: String) -> SystemCallError {
    let number = errno
    return SystemCallError(call, object, errno: number, meaning: String(cString: strerror(number)))
  }

  /// Makes the folder and those above it. One that exists is not an error.
  static func makeFolder(_ path: String, mode: mode_t = 0o755) throws {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT else { throw failed("mkdir", path) }
    try makeFolder(parent(of: path))
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failed("mkdir", path) }
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  /// Writes the file under another name first: a reader sees the old content or the new.
  static func write(_ content: String, to path: String, mode: mode_t = 0o644) throws {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw failed("open", temporary) }
    defer { close(descriptor) }
    // The umask of whoever runs us must not decide who can read a host's files.
    guard fchmod(descriptor, mode) == 0 else { throw failed("chmod", temporary) }
    var rest = Array(content.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw failed("write", temporary) }
      rest = rest.dropFirst(count)
    }
    guard rename(temporary, path) == 0 else { throw failed("rename", path) }
  }

  /// A pre-existing link is replaced.
  static func link(_ path: String, to target: String) throws {
    unlink(path)
    guard symlink(target, path) == 0 else { throw failed("symlink", path) }
  }

  /// Marks an upper folder of an overlay so that nothing of the folder under it shows.
  static func makeOpaque(_ path: String) throws {
    guard clinux_overlay_opaque(path) == 0 else { throw failed("setxattr", path) }
  }

  static func text(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
  }
}

extension LabFiles {
  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Type and options of the file system that holds a path without symbolic links.
  static func mount(holding path: String) -> (type: Substring, options: [Substring])? {
    var best: (point: Substring, type: Substring, options: [Substring])?
    // proc(5): fields 5 and 6 are mount point and options, the type follows a lone hyphen.
    for fields in lines("/proc/self/mountinfo") {
      guard fields.count > 6, let hyphen = fields[6...].firstIndex(of: "-"), hyphen + 1 < fields.count else { continue }
      let point = fields[4]
      guard point == "/" || path == point || path.hasPrefix(point + "/") else { continue }
      // Of two on the same point, the later one is on top.
      guard point.utf8.count >= best?.point.utf8.count ?? 0 else { continue }
      best = (point, fields[hyphen + 1], fields[5].split(separator: ","))
    }
    return best.map { ($0.type, $0.options) }
  }

  /// The lines of a table in /proc, in fields; empty when it cannot be read.
  static func lines(_ path: String) -> [[Substring]] {
    (text(path) ?? "").split(separator: "\n").map { $0.split { $0 == " " || $0 == "\t" } }
  }
}
