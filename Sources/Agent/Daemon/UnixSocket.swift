internal import CLinux
internal import Core
internal import Glibc

/// Stream sockets with a path.
enum UnixSocket {
  /// Who may connect: the owner and one group.
  struct Access {
    var mode: mode_t
    /// Nil leaves the group as it is.
    var group: gid_t?
  }

  static func connect(to path: String) throws(SystemCallError) -> Descriptor {
    let socket = try make(path)
    try withAddress(of: path) { address, length throws(SystemCallError) in
      guard Glibc.connect(socket.number, address, length) == 0 else { throw .last("connect", path) }
    }
    return socket
  }

  /// Listens at `path`. What another daemon left there is replaced at once: the new socket is made under a name of its
  /// own, closed to everybody, gets its group and mode, and is then renamed over the old one. The caller holds the
  /// instance lock, so nobody is listening on that.
  static func listen(at path: String, access: Access) throws(SystemCallError) -> Descriptor {
    try removeSocket(at: path)
    let temporary = path + ".new"
    try removeSocket(at: temporary)
    let socket = try make(temporary)
    // unix(7): bind gives the path the mode that the socket has by then.
    guard fchmod(socket.number, 0) == 0 else { throw .last("fchmod", temporary) }
    try withAddress(of: temporary) { address, length throws(SystemCallError) in
      guard bind(socket.number, address, length) == 0 else { throw .last("bind", temporary) }
    }
    do throws(SystemCallError) {
      if let group = access.group, chown(temporary, uid_t.max, group) != 0 { throw .last("chown", temporary) }
      guard chmod(temporary, access.mode) == 0 else { throw .last("chmod", temporary) }
      guard Glibc.listen(socket.number, 16) == 0 else { throw .last("listen", temporary) }
      guard rename(temporary, path) == 0 else { throw .last("rename", path) }
    } catch {
      unlink(temporary)
      throw error
    }
    return socket
  }

  /// Takes a waiting connection, or nil when none is waiting any more.
  static func accept(_ listener: Descriptor) throws(SystemCallError) -> Descriptor? {
    let number = clinux_accept(listener.number)
    if number >= 0 { return Descriptor(owning: number) }
    switch errno {
    case EAGAIN, EINTR, ECONNABORTED: return nil
    default: throw .last("accept", "agent socket")
    }
  }

  /// The user on the other side when it connected; nil if the kernel does not say.
  static func peerUser(_ connection: Descriptor) -> uid_t? {
    var process: pid_t = 0
    var user: uid_t = 0
    var group: gid_t = 0
    return clinux_peer_credentials(connection.number, &process, &user, &group) == 0 ? user : nil
  }

  static func setNonblocking(_ descriptor: Descriptor, _ object: String) throws(SystemCallError) {
    let flags = fcntl(descriptor.number, F_GETFL)
    guard flags >= 0, fcntl(descriptor.number, F_SETFL, flags | O_NONBLOCK) == 0 else { throw .last("fcntl", object) }
  }

  /// Removes a socket of that name, if there is one, and nothing else.
  static func removeSocket(at path: String) throws(SystemCallError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw .last("stat", path)
    }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw SystemCallError("listen", path, errno: EEXIST, meaning: "something that is not a socket is in the way")
    }
    guard unlink(path) == 0 || errno == ENOENT else { throw .last("unlink", path) }
  }

  static func make(_ object: String, kind: __socket_type = SOCK_STREAM) throws(SystemCallError) -> Descriptor {
    let number = socket(AF_UNIX, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .last("socket", object) }
    return Descriptor(owning: number)
  }

  /// A path, or an abstract name written with a leading `@`, as systemd does.
  static func withAddress(
    of path: String,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemCallError) -> Void
  ) throws(SystemCallError) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(path.utf8)
    let isAbstract = name.first == UInt8(ascii: "@")
    if isAbstract { name[0] = 0 }
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard name.count < capacity else {
      throw SystemCallError(
        "use socket", path, errno: ENAMETOOLONG,
        meaning: "the path has \(name.count) bytes, at most \(capacity - 1) fit")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // The name of an abstract socket is all the bytes given; a path ends with a zero byte.
    let used = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count + (isAbstract ? 0 : 1)
    let result: Result<Void, SystemCallError> = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        do throws(SystemCallError) {
          try body(generic, socklen_t(used))
          return .success(())
        } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
  }
}
