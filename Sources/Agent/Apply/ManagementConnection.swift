package import Core

/// The two ends of a TCP connection.
package struct ConnectionEnds: Hashable, Sendable {
  /// Numeric addresses of either family, without a zone, as inet_ntop(3) writes them.
  package let source: String
  package let sourcePort: UInt16
  /// The host's own address, and sshd's port.
  package let destination: String
  package let destinationPort: UInt16

  package init(source: String, sourcePort: UInt16, destination: String, destinationPort: UInt16) {
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.destinationPort = destinationPort
  }
}

/// Who was connected to some ports at one moment.
struct KnownConnections {
  var ports: Set<UInt16> = []
  var ends: Set<ConnectionEnds> = []

  /// Whether this connection was opened later. Of other ports nothing is known.
  func proves(_ later: ConnectionEnds) -> Bool { ports.contains(later.destinationPort) && !ends.contains(later) }
}

/// Where a request came from.
package struct ManagementConnection: Hashable, Sendable {
  /// Of the SSH connection, as sshd told the bridge; nil when it did not come over one.
  package let ends: ConnectionEnds?
  /// Root on the host itself, who needs no way in.
  package let isConsole: Bool
  /// When the agent first saw it.
  package let opened: BootTime

  package init(ends: ConnectionEnds?, isConsole: Bool = false, opened: BootTime) {
    self.ends = ends
    self.isConsole = isConsole && ends == nil
    self.opened = opened
  }

  package static func console(opened: BootTime) -> ManagementConnection {
    ManagementConnection(ends: nil, isConsole: true, opened: opened)
  }

  /// Empty when it did not come over SSH.
  package var source: String { ends?.source ?? "" }
}
