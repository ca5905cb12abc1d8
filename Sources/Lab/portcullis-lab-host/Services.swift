internal import CLinux
internal import Glibc

/// What runs in a host: sshd, and our agent when the host was enrolled before it booted. Both are started again when
/// they end, as systemd would.
struct Services {
  private static let agent = "/usr/local/lib/portcullis/portcullis-agent"
  // The daemon binds beside the name and renames into place; the kernel goes on calling the socket by its first name.
  private static let agentSocket = "/run/portcullis/agent.sock"
  /// As the unit's SuccessExitStatus= says: the agent is up to it by itself.
  private static let safePolicyIsLoaded: Int32 = 2
  /// Milliseconds: the first pause before a service is started again, doubled each time up to the longest, and back to
  /// the first after it has run that long.
  private static let shortestPause = 1000
  private static let longestPause = 60_000

  private let spec: Spec
  private var sshd: Service
  private var serve: Service?
  private var relay: Service?

  private struct Service {
    let path: String
    let arguments: [String]
    var pid: pid_t?
    var started = 0
    /// Always this pause; nil for one that grows.
    var constantPause: Int?
    var pause = Services.shortestPause
    /// When to start it again.
    var due: Int?

    mutating func start() throws {
      due = nil
      started = now()
      pid = try Program.start(path, arguments, ownSession: true)
    }

    mutating func ended() {
      pid = nil
      if let constantPause {
        due = now() + constantPause
        return
      }
      if now() - started >= Services.longestPause { pause = Services.shortestPause }
      due = now() + pause
      pause = min(pause * 2, Services.longestPause)
    }
  }

  init(spec: Spec) {
    self.spec = spec
    sshd = Service(path: "/usr/sbin/sshd", arguments: ["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"])
    sshd.constantPause = spec.restartPause
  }

  private static var isEnrolled: Bool { Files.exists("/etc/portcullis/host") && Files.exists(agent) }

  /// Loads the committed rules before the host has a network. A failure is the agent's to report; the host boots on.
  func restoreRules() {
    // As the unit's condition: where the agent itself is gone, that is a failure to restore.
    guard !spec.isController, Files.exists("/etc/portcullis/host") else { return }
    do {
      let pid = try Program.start(Self.agent, [Self.agent, "restore"])
      let status = Program.status(pid)
      if status == 0 || status == Self.safePolicyIsLoaded { return }
      Files.writeAll(2, "portcullis-agent restore failed\n")
    } catch {
      Files.writeAll(2, "\(error)\n")
    }
    loadSafeFiles()
  }

  /// What packaging/portcullis-safe.service does where there is systemd.
  private func loadSafeFiles() {
    for (program, file) in [("ip6tables-restore", "ipv6.rules"), ("iptables-restore", "ipv4.rules")] {
      let path = "/usr/sbin/\(program)"
      let arguments = [path, "--wait=30", "--noflush", "/var/lib/portcullis/safe/\(file)"]
      let succeeded = (try? Program.start(path, arguments)).map { Program.status($0) == 0 } ?? false
      if !succeeded { Files.writeAll(2, "\(program) of the safe rules failed\n") }
    }
  }

  mutating func start() throws {
    try sshd.start()
    guard Self.isEnrolled else { return }
    var service = Service(path: Self.agent, arguments: [Self.agent, "serve"])
    service.constantPause = spec.restartPause
    try service.start()
    serve = service
  }

  /// The bad line, where the lab has one.
  mutating func startRelay() throws {
    guard spec.line != nil else { return }
    var service = Service(
      path: "/proc/self/exe",
      arguments: ["portcullis-lab-host", "relay", "\(spec.folder)/spec", Cable.relayToController, Cable.relayToHosts])
    service.constantPause = 100
    try service.start()
    relay = service
  }

  /// Waits until sshd listens on both families, and the agent where there is one.
  mutating func waitUntilListening() throws {
    let deadline = now() + 20_000
    var pause: UInt32 = 4_000
    while !Self.listens("/proc/net/tcp") || !Self.listens("/proc/net/tcp6") {
      var status: Int32 = 0
      if let pid = sshd.pid, waitpid(pid, &status, WNOHANG) == pid { throw HostError("sshd ended at once") }
      guard now() < deadline else { throw HostError("sshd does not listen after 20 s") }
      usleep(pause)
      pause = min(pause * 3 / 2, 100_000)
    }
    let agentDeadline = now() + 10_000
    while serve != nil, !Self.agentListens, now() < agentDeadline { usleep(5_000) }
  }

  /// ` agent=yes`, ` agent=no` or nothing where the host is not enrolled.
  var state: String { serve == nil ? "" : Self.agentListens ? " agent=yes" : " agent=no" }

  /// Reaps whatever ends, orphans too, and starts services again. Sleeps otherwise; never returns.
  mutating func supervise() -> Never {
    var child = sigset_t()
    sigemptyset(&child)
    sigaddset(&child, SIGCHLD)
    while true {
      var status: Int32 = 0
      while true {
        let pid = waitpid(-1, &status, WNOHANG)
        guard pid > 0 else { break }
        if pid == sshd.pid { sshd.ended() }
        if pid == serve?.pid { serve?.ended() }
        if pid == relay?.pid { relay?.ended() }
      }
      restartWhatIsDue()
      if let next = [sshd.due, serve?.due, relay?.due].compactMap({ $0 }).min() {
        let pause = max(0, next - now())
        var timeout = timespec(tv_sec: pause / 1000, tv_nsec: pause % 1000 * 1_000_000)
        sigtimedwait(&child, nil, &timeout)
      } else {
        sigwaitinfo(&child, nil)
      }
    }
  }

  private mutating func restartWhatIsDue() {
    if let due = sshd.due, due <= now(), (try? sshd.start()) == nil { sshd.ended() }
    if let due = relay?.due, due <= now(), (try? relay?.start()) == nil { relay?.ended() }
    guard let due = serve?.due, due <= now() else { return }
    // Not after `enroll --remove`, and not beside a daemon that an upgrade started: that one holds the lock. A child that
    // the old daemon was just starting has its socket for a moment, too, so ask again.
    if !Self.isEnrolled {
      serve = nil
    } else if Self.agentListens {
      serve?.due = now() + Self.shortestPause
    } else if (try? serve?.start()) == nil {
      serve?.ended()
    }
  }

  /// Whether port 22 is in state LISTEN (0A) in /proc/net/tcp or tcp6.
  private static func listens(_ table: String) -> Bool {
    guard let text = Files.read(table) else { return false }
    return text.split(separator: "\n").contains { line in
      let fields = line.split(separator: " ")
      return fields.count > 3 && fields[1].hasSuffix(":0016") && fields[3] == "0A"
    }
  }

  /// Whether the agent's socket accepts connections (flag 0x10000, __SO_ACCEPTCON, in /proc/net/unix).
  private static var agentListens: Bool {
    guard let text = Files.read("/proc/net/unix") else { return false }
    return text.split(separator: "\n").contains { line in
      let fields = line.split(separator: " ")
      return fields.count > 7 && fields[3] == "00010000" && fields[7].hasPrefix(agentSocket)
    }
  }
}
