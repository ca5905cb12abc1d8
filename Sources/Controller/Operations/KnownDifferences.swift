internal import Audit
internal import Core

/// What is known of hosts' differences. What they are in full is read when a host reports the very same digests again, and
/// once, however many hosts share it.
package actor KnownDifferences {
  private let states: [HostID: DifferenceState]
  private let read: @Sendable (Digest) async throws -> [UInt8]?
  /// Nil inside for what cannot be read: it is asked for again.
  private var bodies: [Digest: HostDrift?] = [:]

  /// - Parameter read: a body by its digest.
  init(_ states: [HostID: DifferenceState], read: @escaping @Sendable (Digest) async throws -> [UInt8]?) {
    self.states = states
    self.read = read
  }

  package static var none: KnownDifferences { KnownDifferences([:]) { _ in nil } }

  /// Nil where it has to be asked for.
  func drift(of host: HostID, _ sides: DriftSides) async -> HostDrift? {
    guard let state = states[host], state.sides == sides else { return nil }
    if bodies[state.body] == nil {
      let body = try? await read(state.body)
      bodies[state.body] = .some(body.flatMap { try? HostDrift(host: host, encoded: $0) })
    }
    return bodies[state.body]??.on(host)
  }
}
