internal import Glibc

/// What went wrong with what, in one line.
struct HostError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// For a call that has just set errno.
  init(call: String, _ object: String) {
    description = "\(call) \(object): \(String(cString: strerror(errno)))"
  }
}

/// The few file calls that an init needs.
enum Files {
  /// The whole content as text; nil when it cannot be read.
  static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count > 0 else { return count == 0 ? String(decoding: content, as: UTF8.self) : nil }
      content += buffer[..<count]
    }
  }

  /// Writes to an existing file, such as a sysctl. False when that fails: not every kernel has every setting.
  @discardableResult
  static func set(_ path: String, _ value: String) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return writeAll(descriptor, value)
  }

  /// Replaces the file in one step.
  static func replace(_ path: String, with content: String) throws {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw HostError(call: "open", temporary) }
    defer { close(descriptor) }
    guard writeAll(descriptor, content) else { throw HostError(call: "write", temporary) }
    guard rename(temporary, path) == 0 else { throw HostError(call: "rename", path) }
  }

  @discardableResult
  static func writeAll(_ descriptor: Int32, _ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Makes the folder and those above it; one that exists is not an error.
  static func makeFolder(_ path: String, mode: mode_t = 0o755) throws {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw HostError(call: "mkdir", path)
    }
    try makeFolder(String(path[..<slash]))
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw HostError(call: "mkdir", path) }
  }

  /// Start time of a process, field 22 of its stat file: with the id it names one process for certain.
  static func startTime(of pid: Int32) -> String? {
    guard let stat = read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    return fields.count > 19 ? String(fields[19]) : nil
  }
}

/// Milliseconds of a clock that no one sets.
func now() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
