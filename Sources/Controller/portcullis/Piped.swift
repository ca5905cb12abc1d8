import Core
import Glibc

/// What another program writes while we read it, to its end and never beyond a limit.
enum Piped {
  static func standardInput(atMost limit: Int) throws -> [UInt8] {
    try read(STDIN_FILENO, "standard input", atMost: limit)
  }

  /// Such as a shell makes of `<(command)`.
  static func isPipe(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
  }

  static func contents(of path: String, atMost limit: Int) throws -> [UInt8] {
    let name = SafeText.escape(path)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure("read \(name)", because: Reason(String(cString: strerror(errno)))) }
    defer { close(descriptor) }
    return try read(descriptor, name, atMost: limit)
  }

  private static func read(_ descriptor: Int32, _ name: String, atMost limit: Int) throws -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure("read \(name)", because: Reason(String(cString: strerror(errno))))
      }
      content += buffer[..<count]
      guard content.count <= limit else {
        throw Failure("read \(name)", because: Reason("more than \(limit >> 20) MiB"))
      }
    }
  }
}
