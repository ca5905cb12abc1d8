internal import CLinux
internal import Core
internal import Glibc

/// The daemon that listens on the socket now, or its supervisor, held by a descriptor so that no other process can be meant.
struct RunningDaemon: ~Copyable {
  private let descriptor: Int32
  private let process: pid_t

  /// Nil when nothing listens.
  static func find(by paths: HostPaths) throws -> RunningDaemon? {
    guard let socket = try? LocalSocket(connecting: paths.socket) else { return nil }
    return try RunningDaemon(process: socket.peer())
  }

  /// Who starts the daemon again when it ends; nil when nobody does.
  static func findSupervisor(by paths: HostPaths) throws -> RunningDaemon? {
    guard let process = try SupervisorLock.holder(paths) else { return nil }
    let supervisor = try RunningDaemon(process: process)
    // Still the holder, now that we hold it: so it was not another process that got its id.
    guard try SupervisorLock.holder(paths) == process else { return nil }
    return supervisor
  }

  private init(process: pid_t) throws(SystemCallError) {
    self.process = process
    descriptor = clinux_pidfd_open(process)
    guard descriptor >= 0 else {
      throw SystemCallError("pidfd_open", "\(process)", errno: errno, meaning: String(cString: strerror(errno)))
    }
  }

  deinit { close(descriptor) }

  /// SIGTERM lets a running apply end; what has not ended in time is killed, and recovers when it starts again.
  func stop(within seconds: Int) throws {
    for (signal, wait) in [(SIGTERM, seconds), (SIGKILL, 5)] {
      _ = clinux_pidfd_send_signal(descriptor, signal)
      let end = Deadline(secondsFromNow: wait)
      while !end.hasPassed {
        var ending = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&ending, 1, end.millisecondsLeft) > 0 { return }
      }
    }
    throw Failure("stop the agent's daemon", because: Reason("process \(process) does not end"))
  }
}
