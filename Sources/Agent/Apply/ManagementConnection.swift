package import Core

/// The SSH connection that a request came over, as sshd told the bridge.
package struct ManagementConnection: Hashable, Sendable {
  /// Numeric, without a zone; empty when it did not come over SSH.
  package var source: String
  package var sourcePort: UInt16
  /// The host's own address and sshd's port; empty and 0 when unknown.
  package var destination: String
  package var destinationPort: UInt16
  /// When the agent first saw it.
  package var opened: BootTime

  package init(
    source: String, sourcePort: UInt16 = 0, destination: String = "", destinationPort: UInt16 = 0,
    opened: BootTime = BootTime(nanoseconds: 0)
  ) {
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.destinationPort = destinationPort
    self.opened = opened
  }

  package var isOverSSH: Bool { !source.isEmpty }

  /// Channels of one TCP connection have the same ends.
  package func isSameTCP(as other: ManagementConnection) -> Bool {
    (source, sourcePort, destination, destinationPort)
      == (other.source, other.sourcePort, other.destination, other.destinationPort)
  }
}
