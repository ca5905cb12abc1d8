internal import CLinux
internal import Core
internal import Glibc

/// A connection to the daemon's socket.
final class LocalSocket {
  let descriptor: Int32
  private let path: String

  /// Throws when nothing listens there.
  init(connecting path: String) throws(SystemCallError) {
    self.path = path
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { buffer in
      guard path.utf8.count < buffer.count else { return false }
      buffer.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { throw SystemCallError("connect", path, errno: ENAMETOOLONG, meaning: "the path is too long") }
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Self.failed("socket", path) }
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else {
      let error = Self.failed("connect", path)
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// The process that listens.
  func peer() throws(SystemCallError) -> pid_t {
    var process: pid_t = 0
    var user: uid_t = 0
    var group: gid_t = 0
    guard clinux_peer_credentials(descriptor, &process, &user, &group) == 0 else {
      throw Self.failed("getsockopt", path)
    }
    return process
  }

  func write(_ bytes: [UInt8]) throws(SystemCallError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.failed("send", path)
      }
      rest = rest.dropFirst(count)
    }
  }

  /// Empty at the end of the stream.
  func read(within deadline: Deadline) throws(SystemCallError) -> [UInt8] {
    while true {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&waiting, 1, deadline.millisecondsLeft)
      if ready == 0 { throw SystemCallError("read", path, errno: ETIMEDOUT, meaning: "no answer in time") }
      if ready < 0, errno != EINTR { throw Self.failed("poll", path) }
      guard ready > 0 else { continue }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count >= 0 { return Array(buffer[..<count]) }
      if errno != EINTR { throw Self.failed("read", path) }
    }
  }

  private static func failed(_ call: String, _ path: String) -> SystemCallError {
    SystemCallError(call, path, errno: errno, meaning: String(cString: strerror(errno)))
  }
}
