import Foundation
import Glibc

/// What the tests need of this machine, and what they leave on it: nothing.
enum Machine {
  /// The product's executables: built with the tests, beside them, or those that figures are asked of.
  static let programs: String = {
    if let named = getenv("PORTCULLIS_PROGRAMS") { return String(cString: named) }
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
    return URL(fileURLWithPath: own).deletingLastPathComponent().path
  }()

  static var portcullis: String { "\(programs)/portcullis" }
  static var agent: String { "\(programs)/portcullis-agent" }

  /// Restore text for a lab's web servers and databases: tests change single lines of it.
  static let policies = "\(checkout)/Tests/Controller/FleetTests/Fixtures/policies"

  /// Of this checkout.
  static let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// Why labs cannot be made here; nil when they can.
  static let obstacle: String? = {
    if geteuid() != 0 { return "lab hosts are namespaces, which only root can make: run the tests as root" }
    for program in ["portcullis", "portcullis-agent", "portcullis-lab-host"]
    where access("\(programs)/\(program)", X_OK) != 0 {
      return "\(program) is not beside the tests in \(programs): build the whole package"
    }
    for path in [
      "/usr/sbin/ip", "/usr/bin/nsenter", "/usr/sbin/sshd", "/usr/bin/ssh-keygen", "/usr/sbin/iptables-legacy",
    ]
    where access(path, X_OK) != 0 {
      return "\(path) is missing"
    }
    return nil
  }()

  static var isContinuousIntegration: Bool { getenv("CI").map { String(cString: $0) } == "true" }

  private static let prefix = "/var/tmp/portcullis-fleet-"
  private static let own = "\(prefix)\(getpid())"

  /// Everything these tests write lies below it.
  private static let folder = Result {
    clearLeftovers()
    try FileManager.default.createDirectory(atPath: "\(own)/scratch", withIntermediateDirectories: true)
    atexit { Machine.clear(Machine.own) }
    clearWhenSignalled()
    return own
  }

  static func folder(_ name: String) throws -> String { "\(try folder.get())/\(name)" }
  static func scratch() throws -> String { try folder("scratch") }

  /// What a run that was killed left behind.
  private static func clearLeftovers() {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/var/tmp")) ?? [] {
      let path = "/var/tmp/\(name)"
      guard path.hasPrefix(prefix), let pid = pid_t(path.dropFirst(prefix.count)), kill(pid, 0) != 0, errno == ESRCH
      else { continue }
      clear(path)
    }
  }

  /// Takes the labs down and the files away. Runs while the process ends, so it is plain C all the way.
  private static func clear(_ path: String) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return }
    for name in names where access("\(path)/\(name)/.portcullis-lab", F_OK) == 0 {
      wait(for: [portcullis, "lab", "down", "--dir", "\(path)/\(name)"])
    }
    wait(for: ["/usr/bin/rm", "-rf", "--one-file-system", path])
  }

  private static func wait(for command: [String]) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in [STDIN_FILENO, STDOUT_FILENO] {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let words = (["/usr/bin/timeout", "--kill-after=2", "60"] + command).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    guard posix_spawn(&pid, "/usr/bin/timeout", &actions, nil, words, environ) == 0 else { return }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
  }

  // MARK: - Interrupted

  nonisolated(unsafe) private static var waker: Int32 = -1

  /// Somebody who ends the tests with Ctrl-C or a timeout gets a clean machine too.
  private static func clearWhenSignalled() {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    waker = ends[1]
    let reader = ends[0]
    Thread.detachNewThread {
      var byte: UInt8 = 0
      guard read(reader, &byte, 1) == 1 else { return }
      Machine.clear(Machine.own)
      _exit(143)
    }
    for number in [SIGTERM, SIGINT, SIGHUP] {
      signal(number) { _ in
        var byte: UInt8 = 1
        Glibc.write(Machine.waker, &byte, 1)
      }
    }
  }
}
