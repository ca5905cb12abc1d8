internal import Core

/// Why a host could not be talked to. Everything in the texts that came from the host was made safe to print.
package struct TransportError: Hinted, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// No address, refused, no route, nothing answered in time, or the connection broke.
    case unreachable
    /// known_hosts has no key for this host.
    case hostKeyUnknown
    /// known_hosts has another key for this host.
    case hostKeyChanged
    /// The key is marked @revoked in known_hosts.
    case hostKeyRevoked
    case authenticationRefused
    /// The peer does not speak what we require: algorithms, strict key exchange, or the protocol itself.
    case protocolViolation
    /// More bytes than the budget.
    case tooMuchData
    /// The absolute deadline passed.
    case deadline
    case cancelled
    /// A file of ours: key, known_hosts.
    case localFile
  }

  package let kind: Kind
  package let host: String
  package let detail: String
  package let hint: String?

  package init(_ kind: Kind, host: String, _ detail: String, hint: String? = nil) {
    self.kind = kind
    self.host = host
    self.detail = detail
    self.hint = hint
  }

  package var description: String { "\(host): \(detail)" }
}
