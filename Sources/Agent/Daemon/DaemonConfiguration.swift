extension Daemon {
  package struct Configuration: Sendable {
    /// The folder of socket and lock.
    package var directory: String
    /// What the agent calls its own version.
    package var version: String
    /// The unprivileged login's group, which may connect; nil when there is no such group.
    package var group: UInt32?
    /// Users whose connections are served, whoever else the group lets in.
    package var users: Set<UInt32>
    /// The one user whose local orders are obeyed.
    package var root: UInt32 = 0
    package var limits = DaemonLimits()
    /// Takes one line, safe to print, for what an operator may want to find later.
    package var log: @Sendable (String) -> Void = { _ in }

    package init(directory: String, version: String, group: UInt32?, users: Set<UInt32>) {
      self.directory = directory
      self.version = version
      self.group = group
      self.users = users
    }

    package var socket: String { directory + "/agent.sock" }
  }
}
