internal import Apply
internal import CLinux
internal import Core
internal import Glibc
internal import Wire

/// Keeps the promise of a dead man's switch with a process of its own: this executable, run again, in a session of its
/// own, with nothing of ours but one end of a socket. It knows that we are gone when the other end is closed, which
/// the kernel does whatever becomes of us. There is one only while something is pending.
/// Whoever gives this object up without `disarm` has failed, and leaves the change to it.
final class Guard: DeadMan {
  struct Watch {
    let process: pid_t
    let socket: Descriptor
  }

  private let root: String
  private let executable: String
  private(set) var watch: Watch?

  /// How long a guard may take to give its word, and to leave, in milliseconds.
  private static let patience = 5000

  /// - Parameters:
  ///   - root: as for `HostAgent.live`.
  ///   - executable: must answer to `GuardChild.argument`.
  init(root: String, executable: String = "/proc/self/exe") {
    self.root = root
    self.executable = executable
  }

  func arm(_ transaction: TransactionID, until deadline: BootTime) throws {
    disarm()
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemCallError.last("socketpair", "guard") }
    let ours = Descriptor(takingOwnershipOf: ends[0])
    // Closed when this returns, so that only the guard holds the other end.
    let process = try spawn(
      Descriptor(takingOwnershipOf: ends[1]), [root, transaction.description, String(deadline.nanoseconds)])
    let made = Watch(process: process, socket: ours)
    do {
      try Self.awaitWord(ours)
      watch = made
    } catch {
      // Nobody promised, so nobody may act on it later either.
      Self.end(made)
      throw Failure("arm the guard of transaction \(transaction)", because: error)
    }
  }

  func disarm() {
    guard let armed = watch else { return }
    watch = nil
    Self.end(armed)
  }

  /// The guard's process id while there is one.
  var process: pid_t? { watch?.process }

  private func spawn(_ socket: Descriptor, _ arguments: [String]) throws(SystemCallError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // A descriptor copied onto itself is inherited too.
    posix_spawn_file_actions_adddup2(&actions, socket.raw, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    // Neither the agent's lock nor anything else of ours goes along; what it has to say goes where our words go.
    _ = clinux_spawn_close_from(&actions, 3)
    defer { withExtendedLifetime(socket) {} }
    return try Spawning.start(
      executable, [GuardChild.argument] + arguments, environment: ProgramRequest.plainEnvironment, &actions,
      flags: clinux_spawn_new_session())
  }

  private static func awaitWord(_ socket: Descriptor) throws {
    var waiting = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
    let deadline = monotonicMilliseconds() + patience
    while true {
      let left = deadline - monotonicMilliseconds()
      guard left > 0 else { throw Reason("it did not answer within \(patience / 1000) s") }
      let ready = poll(&waiting, 1, Int32(left))
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else { throw Reason("it did not answer within \(patience / 1000) s") }
      var byte: UInt8 = 0
      let count = recv(socket.raw, &byte, 1, Int32(MSG_DONTWAIT))
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count == 1, byte == GuardChild.word else { throw Reason("it ended without giving its word") }
      return
    }
  }

  /// Tells it that all is well, and leaves nothing of it behind.
  private static func end(_ watch: Watch) {
    var byte = GuardChild.dismissal
    _ = send(watch.socket.raw, &byte, 1, Int32(MSG_NOSIGNAL))
    shutdown(watch.socket.raw, Int32(SHUT_RDWR))
    var status: Int32 = 0
    let deadline = monotonicMilliseconds() + patience
    while uninterrupted({ waitpid(watch.process, &status, WNOHANG) }) == 0 {
      if monotonicMilliseconds() > deadline { kill(watch.process, SIGKILL) }
      usleep(1000)
    }
  }
}
