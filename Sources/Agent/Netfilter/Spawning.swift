internal import Core
internal import Glibc

/// posix_spawn(3) with default signals.
enum Spawning {
  static func start(
    _ path: String, _ arguments: [String], environment: [String], _ actions: inout posix_spawn_file_actions_t,
    flags: Int16
  ) throws(SystemCallError) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | flags)
    let arguments = CStrings([path] + arguments)
    let environment = CStrings(environment)
    var pid: pid_t = 0
    let status = posix_spawn(&pid, path, &actions, &attributes, arguments.pointers, environment.pointers)
    guard status == 0 else { throw .of("run", path, errno: status) }
    return pid
  }
}

/// An argument vector as C wants it.
private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
    pointers[count] = nil
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
