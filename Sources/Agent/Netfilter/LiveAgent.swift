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
  ///   - executable: what is run for a rehearsal; it must answer to `RehearsalChild.argument`.
  /// - Throws: when the host is not enrolled, or another agent holds the lock.
  package static func live(
    root: String = "/", access: Access = .exclusive, executable: String = "/proc/self/exe"
  ) throws -> HostAgent {
    var base = root
    while base.hasSuffix("/") { base.removeLast() }
    let statePath = "\(base)/var/lib/portcullis"
    let runPath = "\(base)/run/portcullis"
    try LinuxDisk.makePath(statePath)
    try LinuxDisk.makePath(runPath)
    let lock: AgentLock? =
      switch access {
      case .exclusive: try AgentLock("\(statePath)/lock")
      case .reading: nil
      }
    let firewall = LinuxFirewall(lock: lock, rehearsalLockFile: "\(runPath)/rehearsal.lock") {
      (request) throws(FirewallProblem) in
      try RehearsalChild.ask(request, executable: executable, runner: ProgramRunner())
    }
    return try HostAgent(
      state: LinuxDisk(statePath), trust: LinuxDisk("\(base)/etc/portcullis"), firewall: firewall,
      facts: LinuxFacts(root: base), bootClock: LinuxBootClock(), deadMan: NoDeadMan())
  }
}
