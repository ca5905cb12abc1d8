/// The words for a host's state: the same in text, JSON, metrics and pages.

/// Has the host got what the fleet's policy says it should run?
package enum Delivery: String, Sendable, Hashable, CaseIterable {
  case current
  case pending
  case failed
  case reverted
  /// An answer was lost; asked again until known.
  case unknown
}

/// Does the host's kernel hold what was last committed?
package enum Integrity: String, Sendable, Hashable, CaseIterable {
  case intact
  case drifted
  case waived
  case unknown
}

/// How old is what we know?
package enum Contact: String, Sendable, Hashable, CaseIterable {
  case fresh
  case stale
  case unreachable
}

package enum Modifier: String, Sendable, Hashable, CaseIterable {
  case lockedDown = "locked-down"
  case held
  case degraded
}
