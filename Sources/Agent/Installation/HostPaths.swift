internal import Wire

/// Where everything of ours lives on a host. `root` moves all of it, for tests.
package struct HostPaths: Sendable {
  package let root: String

  package init(root: String = "/") { self.root = root.hasSuffix("/") ? String(root.dropLast()) : root }

  package static let userName = "portcullis"

  package var programs: String { root + "/usr/local/lib/portcullis" }
  package var agent: String { root + "/" + EnrolledFiles.agentPath }
  /// Uploaded here; takes the agent's name once it has been checked.
  package var newAgent: String { programs + "/.portcullis-agent.new" }
  /// During an upgrade: the last executable whose daemon answered, to go back to.
  package var previousAgent: String { programs + "/.portcullis-agent.answered" }
  /// After an upgrade: what it replaced, for people.
  package var keptAgent: String { programs + "/portcullis-agent.previous" }
  /// The login shell of the unprivileged user: the agent under a name that makes it the bridge.
  package var bridge: String { programs + "/portcullis-bridge" }
  package var trust: String { root + "/etc/portcullis" }
  package var hostFile: String { trust + "/host" }
  package var allowedSigners: String { trust + "/allowed_signers" }
  package var thresholds: String { trust + "/thresholds" }
  package var state: String { root + "/var/lib/portcullis" }
  /// The state on its way out: a removal that was cut short goes on here.
  package var removedState: String { state + ".removed" }
  package var generationZero: String { state + "/generation-0" }
  package var login: String { state + "/login" }
  package var authorizedKeys: String { login + "/.ssh/authorized_keys" }
  package var runtime: String { root + "/run/portcullis" }
  package var socket: String { runtime + "/agent.sock" }
  var supervisorLock: String { runtime + "/supervisor.lock" }
  /// What makes our own executable use the same root.
  var rootArguments: [String] { root.isEmpty ? [] : ["--root", root] }
  package var units: String { root + "/etc/systemd/system" }
  package var passwd: String { root + "/etc/passwd" }
}
