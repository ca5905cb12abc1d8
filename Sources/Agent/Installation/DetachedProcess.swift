internal import CLinux
internal import Core
internal import Glibc

/// Starts a program that outlives us and our SSH session: a session of its own, no terminal, nothing of ours open.
enum DetachedProcess {
  static func spawn(_ path: String, _ arguments: [String], log: String) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    // sshd waits for every holder of its pipes: none may be left open in the daemon.
    clinux_spawn_close_from(&actions, 3)
    _ = try start(path, arguments, &actions, ownSession: true)
  }

  /// Starts a program with our own standard streams, as a child to wait for.
  static func startChild(_ path: String, _ arguments: [String]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    clinux_spawn_close_from(&actions, 3)
    return try start(path, arguments, &actions, ownSession: false)
  }

  /// With no signal blocked or ignored, whatever became of ours.
  private static func start(
    _ path: String, _ arguments: [String], _ actions: inout posix_spawn_file_actions_t, ownSession: Bool
  ) throws -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var everySignal = sigset_t()
    sigfillset(&everySignal)
    var noSignal = sigset_t()
    sigemptyset(&noSignal)
    posix_spawnattr_setsigdefault(&attributes, &everySignal)
    posix_spawnattr_setsigmask(&attributes, &noSignal)
    let session = ownSession ? clinux_spawn_new_session() : 0
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) | session)

    var process: pid_t = 0
    let words = CStrings([path] + arguments)
    let environment = CStrings(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
    let code = posix_spawn(&process, path, &actions, &attributes, words.pointers, environment.pointers)
    guard code == 0 else {
      throw SystemCallError("spawn", path, errno: code, meaning: String(cString: strerror(code)))
    }
    return process
  }
}

/// A NULL-terminated vector as exec wants it, alive as long as the value.
private final class CStrings {
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ words: [String]) { pointers = words.map { strdup($0) } + [nil] }

  deinit { pointers.forEach { free($0) } }
}
