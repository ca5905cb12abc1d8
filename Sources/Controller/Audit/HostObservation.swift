package import Core
package import Wire

/// Everything we know about one host, as facts with the times we learnt them, all by our own clock: a host's clock
/// may be wrong.
package struct HostObservation: Hashable, Sendable {
  package var lastReport: ReceivedReport?
  package var lastContactFailure: ContactFailure?
  package var lastAttempt: DeliveryAttempt?
  /// The last difference that was worked out, and the state it belongs to: the host may have changed since.
  package var difference: Difference?
  package var waiver: Waiver?

  package struct Difference: Hashable, Sendable {
    package var sides: DriftSides
    /// As `HostDrift.exact`.
    package var exact: Digest
    package init(sides: DriftSides, exact: Digest) {
      self.sides = sides
      self.exact = exact
    }
  }

  package init(
    lastReport: ReceivedReport? = nil, lastContactFailure: ContactFailure? = nil, lastAttempt: DeliveryAttempt? = nil
  ) {
    self.lastReport = lastReport
    self.lastContactFailure = lastContactFailure
    self.lastAttempt = lastAttempt
  }
}

package struct ReceivedReport: Hashable, Sendable {
  package var report: Report
  package var receivedAt: UTCTime
  package init(_ report: Report, receivedAt: UTCTime) {
    self.report = report
    self.receivedAt = receivedAt
  }

  /// Seconds that the host's clock was ahead of ours.
  package var clockAhead: Int64 { report.time - receivedAt }
}

/// We asked and got no answer we could use.
package struct ContactFailure: Hashable, Sendable {
  package var at: UTCTime
  /// In words for an operator.
  package var reason: String
  package init(at: UTCTime, reason: String) {
    self.at = at
    self.reason = reason
  }
}

/// How the last try to bring a bundle to a host ended, for us.
package struct DeliveryAttempt: Hashable, Sendable {
  package enum Result: String, Hashable, Sendable, CaseIterable {
    /// The host answered that it durably runs the bundle.
    case committed
    /// Nothing was asked of the host: it could not be reached, or the run ended first.
    case pending
    /// The host refused the bundle, or failed and could not go back.
    case failed
    /// The host failed and went back.
    case reverted
    /// The host was asked to apply, and the answer was lost.
    case unknown
  }
  /// What was to be delivered: of the manifest without its serial.
  package var content: Digest
  package var serial: Serial
  package var result: Result
  /// In words for an operator; may be empty.
  package var detail: String
  /// When it ended.
  package var at: UTCTime
  package init(content: Digest, serial: Serial, result: Result, detail: String, at: UTCTime) {
    self.content = content
    self.serial = serial
    self.result = result
    self.detail = detail
    self.at = at
  }
}

/// What the fleet's policy wants of a host.
package struct DesiredHost: Hashable, Sendable {
  package var host: HostID
  /// Of the manifest without its serial, so that a new release which says the same of this host leaves it current.
  package var content: Digest
  /// Of the release that asks for it; `.none` while it is not in any release.
  package var serial: Serial
  package init(host: HostID, content: Digest, serial: Serial) {
    self.host = host
    self.content = content
    self.serial = serial
  }
}
