internal import CLinux
internal import Core
internal import Glibc

/// Where systemd does not run: a small parent that starts the daemon again when it dies. It ends when the daemon ended as
/// asked (with 0), when it is asked to itself, and when the host is no longer enrolled.
package struct Supervisor {
  private let paths: HostPaths
  private let say: (String) -> Void

  /// The verb under which the agent runs this.
  package static let verb = "supervise"

  package init(paths: HostPaths, say: @escaping (String) -> Void) {
    self.paths = paths
    self.say = say
  }

  /// One thread, so that signals wait for us: SIGTERM is handed on to the daemon, whose end we wait for.
  package func run() throws {
    let lock = try SupervisorLock(paths)
    defer { withExtendedLifetime(lock) {} }
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] { sigaddset(&signals, signal) }
    sigprocmask(SIG_BLOCK, &signals, nil)
    var pause = RestartPause()
    while HostFiles.exists(paths.hostFile) {
      let daemon = try DetachedProcess.startChild(paths.agent, ["serve"] + paths.rootArguments)
      let started = Self.now()
      let end = Self.wait(for: daemon, signals)
      guard case .died(let how) = end else { return }
      let seconds = pause.after(running: Self.now() - started)
      say("the daemon ended \(how); it is started again in \(seconds) s")
      guard Self.sleep(seconds, signals) else { return }
    }
  }

  private enum End {
    /// With 0, or because we were asked to stop.
    case asAsked
    case died(String)
  }

  private static func wait(for daemon: pid_t, _ signals: sigset_t) -> End {
    var signals = signals
    var isStopping = false
    while true {
      var status: Int32 = 0
      let ended = waitpid(daemon, &status, WNOHANG)
      if ended == daemon {
        if isStopping || status == 0 { return .asAsked }
        let signal = status & 0x7f
        return .died(signal == 0 ? "with \((status >> 8) & 0xff)" : "by signal \(signal)")
      }
      switch sigwaitinfo(&signals, nil) {
      case SIGTERM, SIGINT, SIGHUP:
        isStopping = true
        // Our child, not yet waited for: nobody else can have its id.
        kill(daemon, SIGTERM)
      default: break
      }
    }
  }

  /// False when we were asked to stop meanwhile.
  private static func sleep(_ seconds: Int, _ signals: sigset_t) -> Bool {
    var signals = signals
    let end = Deadline(secondsFromNow: seconds)
    while !end.hasPassed {
      let left = Int(end.millisecondsLeft)
      var time = timespec(tv_sec: left / 1000, tv_nsec: left % 1000 * 1_000_000)
      let signal = sigtimedwait(&signals, nil, &time)
      if [SIGTERM, SIGINT, SIGHUP].contains(signal) { return false }
    }
    return true
  }

  private static func now() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return now.tv_sec
  }
}

/// Held by the one supervisor of a host while it lives, so that it can be found even while its daemon is down.
struct SupervisorLock: ~Copyable {
  private let descriptor: Int32

  init(_ paths: HostPaths) throws {
    descriptor = open(paths.supervisorLock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.failed("open", paths.supervisorLock) }
    var lock = Self.whole(F_WRLCK)
    guard fcntl(descriptor, F_SETLK, &lock) == 0 else {
      throw Failure("supervise the daemon", because: Reason("another supervisor does so already"))
    }
  }

  deinit { close(descriptor) }

  /// The process that holds it, by the kernel's own word; nil when nobody does.
  static func holder(_ paths: HostPaths) throws -> pid_t? {
    let descriptor = open(paths.supervisorLock, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw failed("open", paths.supervisorLock)
    }
    defer { close(descriptor) }
    var lock = whole(F_WRLCK)
    guard fcntl(descriptor, F_GETLK, &lock) == 0 else { throw failed("fcntl", paths.supervisorLock) }
    return lock.l_type == Int16(F_UNLCK) ? nil : lock.l_pid
  }

  private static func whole(_ kind: Int32) -> flock {
    var lock = flock()
    lock.l_type = Int16(kind)
    lock.l_whence = Int16(SEEK_SET)
    return lock
  }

  private static func failed(_ call: String, _ object: String) -> SystemCallError {
    SystemCallError(call, object, errno: errno, meaning: String(cString: strerror(errno)))
  }
}
