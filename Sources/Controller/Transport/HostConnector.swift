/// Where and as whom a host is reached. Everything here was decided before: nothing is read from ssh_config.
package struct HostEndpoint: Hashable, Sendable {
  /// The inventory name: what messages and known_hosts call it.
  package var name: String
  /// Tried in order; numeric addresses or DNS names. Empty means `name`.
  package var addresses: [String]
  package var port: UInt16
  package var user: String
  /// A private key file; nil offers the keys of `agentSocket`.
  package var identityFile: String?
  /// Path of an ssh-agent's socket.
  package var agentSocket: String?
  /// The bastion this host is reached through, which may have one itself.
  package indirect enum Jump: Hashable, Sendable {
    case direct
    case via(HostEndpoint)
  }
  package var jump: Jump

  package init(
    name: String, addresses: [String], port: UInt16 = 22, user: String, identityFile: String? = nil,
    agentSocket: String? = nil, jump: Jump = .direct
  ) {
    self.name = name
    self.addresses = addresses
    self.port = port
    self.user = user
    self.identityFile = identityFile
    self.agentSocket = agentSocket
    self.jump = jump
  }
}

/// What one connection may cost us, whatever the host does.
package struct ConnectionLimits: Hashable, Sendable {
  /// From the first address looked up to a session that is logged in.
  package var connectTimeout: Duration
  /// Everything a host may send on all channels of the connection, in bytes, standard error included.
  package var receivedBytes: Int
  /// Standard error kept for messages; more is counted and dropped.
  package var standardErrorBytes: Int

  package init(
    connectTimeout: Duration = .seconds(10), receivedBytes: Int = 64 << 20, standardErrorBytes: Int = 64 << 10
  ) {
    self.connectTimeout = connectTimeout
    self.receivedBytes = receivedBytes
    self.standardErrorBytes = standardErrorBytes
  }
}

/// Opens authenticated connections. The one real implementation is the libssh event loop; tests bring others.
package protocol HostConnector: Sendable {
  func connect(to endpoint: HostEndpoint, limits: ConnectionLimits) async throws(TransportError) -> any HostConnection
}

/// A logged-in connection to one host. Closing it ends its channels; a connection that nobody closes is closed when
/// the last reference goes.
package protocol HostConnection: Sendable {
  /// The numeric address and port that answered.
  var remoteAddress: String { get }
  /// Runs `command` (nil: the login shell, which for the agent's login is the bridge). The deadline covers the whole
  /// life of the channel.
  func run(_ command: String?, deadline: ContinuousClock.Instant) async throws(TransportError) -> any HostChannel
  func close() async
}

/// One program on a host. Reads and writes of the same channel may overlap, two reads may not.
package protocol HostChannel: Sendable {
  /// Returns when the bytes are handed to the connection (back-pressure by its window), not when the host has them.
  func write(_ bytes: [UInt8]) async throws(TransportError)
  /// No more input for the program.
  func finishWriting() async throws(TransportError)
  /// The next piece of standard output, never empty; nil at its end.
  func read() async throws(TransportError) -> [UInt8]?
  /// Waits for the program to end. Nil when the host closed the channel without saying.
  func exitStatus() async throws(TransportError) -> Int32?
  /// What the program wrote to standard error so far, within the limit.
  func standardError() async -> [UInt8]
  func close() async
}
