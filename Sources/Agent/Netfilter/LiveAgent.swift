package import Apply
internal import Core

extension HostAgent {
  package enum Access: Hashable, Sendable {
    /// For the daemon and for `restore`: holds the agent's lock for as long as it lives, and may change the host.
    case exclusive
    /// For looking at a host beside a running daemon: `report` and `text` only.
    case reading
  }

  /// The agent of this machine.
  ///
  /// - Parameters:
  ///   - root: moves every path of ours and of the machine's configuration, for tests; the packet filter is that of
  ///     the caller's network namespace all the same.
  ///   - executable: what is run for a rehearsal and as a guard; it must answer to `RehearsalChild.argument`, and to
  ///     `GuardChild.argument`.
  /// - Throws: when the host is not enrolled, or another agent holds the lock.
  package static func live(
    root: String = "/", access: Access = .exclusive, executable: String = "/proc/self/exe"
  ) throws -> HostAgent {
    try live(root: root, access: access, executable: executable, role: .agent)
  }

  /// The agent that takes back what a dead one left, with nobody behind itself.
  static func liveGuard(root: String) throws -> HostAgent {
    try live(root: root, access: .exclusive, executable: "/proc/self/exe", role: .guard)
  }

  private static func live(
    root: String, access: Access, executable: String, role: AgentLock.Role
  ) throws -> HostAgent {
    let paths = AgentPaths(root: root)
    try LinuxDisk.makePath(paths.state)
    try LinuxDisk.makePath(paths.run)
    let lock: AgentLock? =
      switch access {
      case .exclusive: try AgentLock("\(paths.state)/lock", as: role)
      case .reading: nil
      }
    let firewall = LinuxFirewall(lock: lock, rehearsalLockFile: "\(paths.run)/rehearsal.lock") {
      (request) throws(FirewallProblem) in
      try RehearsalChild.ask(request, executable: executable, runner: ProgramRunner())
    }
    let deadMan: any DeadMan =
      switch (access, role) {
      case (.exclusive, .agent): Guard(root: root, executable: executable)
      case (.reading, _), (.exclusive, .guard): NoDeadMan()
      }
    return try HostAgent(
      state: LinuxDisk(paths.state), trust: LinuxDisk(paths.trust), firewall: firewall,
      settings: LinuxSettings(), facts: LinuxFacts(root: paths.base), bootClock: LinuxBootClock(), deadMan: deadMan)
  }
}

/// Where an agent's files are below a root.
struct AgentPaths {
  let base: String

  init(root: String) {
    var base = root
    while base.hasSuffix("/") { base.removeLast() }
    self.base = base
  }

  var state: String { "\(base)/var/lib/portcullis" }
  var run: String { "\(base)/run/portcullis" }
  var trust: String { "\(base)/etc/portcullis" }
}
