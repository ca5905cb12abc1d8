package import Core

/// One way in that must stay open: a connection to one of sshd's ports.
package struct KnockPath: Hashable, Sendable {
  /// A numeric address or prefix; any address of a prefix stands for it.
  package var source: String
  /// The host's own address where it is known, else whatever it would answer from.
  package var destination: String?
  /// Each is tried; one that opens is enough.
  package var ports: [UInt16]

  package init(source: String, destination: String? = nil, ports: [UInt16]) {
    self.source = source
    self.destination = destination
    self.ports = ports
  }
}

/// What real connections in a scratch network stack, dressed like the host and loaded with the new rules, came to.
package enum KnockResult: Hashable, Sendable {
  /// Every path opened.
  case passed
  /// At least one path did not open, and nothing but the rules can be the reason.
  case shut([ShutPath])
  /// It cannot be told; in words why.
  case undecided(String)
}

package struct ShutPath: Hashable, Sendable {
  package var family: Family
  package var source: String
  package var port: UInt16
  /// What took the first packet, by its counter: a rule as iptables-save prints it, or "policy DROP of chain INPUT". Nil
  /// when no counter moved.
  package var culprit: String?

  package init(family: Family, source: String, port: UInt16, culprit: String?) {
    self.family = family
    self.source = source
    self.port = port
    self.culprit = culprit
  }
}
