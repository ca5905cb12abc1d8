package import Core
internal import Glibc

/// Held by the one daemon that may own the socket. The kernel lets go of it when the process ends, however it ends. What
/// changes the host's rules has a lock of its own.
package struct InstanceLock: Sendable {
  private let file: Descriptor

  /// Makes `directory` (mode 0755) if it is missing. Fails at once when another process holds the lock.
  package init(in directory: String) throws(Failure) {
    let path = directory + "/daemon.lock"
    do throws(SystemCallError) {
      try Self.makeDirectory(directory)
      let number = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard number >= 0 else { throw .last("open", path) }
      file = Descriptor(owning: number)
    } catch {
      throw Failure("lock \(path)", because: error)
    }
    guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else {
      if errno == EWOULDBLOCK {
        throw Failure(
          "lock \(path)", because: Reason("another portcullis-agent is running"),
          hint: "stop it first: systemctl stop portcullis-agent")
      }
      throw Failure("lock \(path)", because: SystemCallError.last("flock", path))
    }
  }

  private static func makeDirectory(_ path: String) throws(SystemCallError) {
    if mkdir(path, 0o755) == 0 {
      // Whatever the umask: the unprivileged login must reach the socket.
      guard chmod(path, 0o755) == 0 else { throw .last("chmod", path) }
      return
    }
    switch errno {
    case EEXIST: return
    case ENOENT:
      let parent = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) } ?? ""
      guard !parent.isEmpty else { throw .last("mkdir", path) }
      try makeDirectory(parent)
      try makeDirectory(path)
    default: throw .last("mkdir", path)
    }
  }
}
