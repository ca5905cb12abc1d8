internal import CLinux
internal import Glibc

/// Starts programs by absolute path, with an environment of our own.
enum Program {
  static let environment = [
    "HOME=/root", "LANG=C.UTF-8", "LOGNAME=root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL=/bin/sh", "USER=root",
  ]

  /// POSIX_SPAWN_SETSID, which the C library shows only to GNU programs.
  private static let newSession: Int32 = 0x80

  /// - Parameters:
  ///   - input: the descriptor that becomes standard input; nil for the null device.
  ///   - ownSession: whether it leaves our terminal, so that no Ctrl-C reaches it.
  /// - Returns: its process id, in our namespace.
  static func start(
    _ path: String, _ arguments: [String], input: Int32? = nil, ownSession: Bool = false
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // We block SIGCHLD and ignore SIGPIPE; programs get the usual.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var usual = sigset_t()
    sigemptyset(&usual)
    sigaddset(&usual, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &usual)
    let session = ownSession ? Self.newSession : 0
    posix_spawnattr_setflags(&attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | session))

    let vector = arguments.map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { for pointer in vector + variables { free(pointer) } }
    var pid: pid_t = 0
    let result = posix_spawn(&pid, path, &actions, &attributes, vector, variables)
    guard result == 0 else { throw HostError("start \(path): \(String(cString: strerror(result)))") }
    return pid
  }

  /// Waits for one child. True when it exited with 0.
  static func succeeded(_ pid: pid_t) -> Bool { status(pid) == 0 }

  /// Waits for one child. What it exited with; nil when it did not exit by itself.
  static func status(_ pid: pid_t) -> Int32? {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { return nil } }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : nil
  }
}
