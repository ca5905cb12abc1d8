package import Core
package import Wire

/// Which state of a host a difference belongs to: what it expects and what it found, in both families.
package struct DriftSides: Hashable, Sendable {
  package let expected: PerFamily<Digest>
  package let observed: PerFamily<Digest>

  package init(expected: PerFamily<Digest>, observed: PerFamily<Digest>) {
    self.expected = expected
    self.observed = observed
  }

  /// Nil where nothing differs, where a host does not say what it expects, and while a change waits to be confirmed, which
  /// is no drift.
  package init?(_ report: Report) {
    guard report.pending == nil, let expected = report.families.map({ $1.expected }).whole() else { return nil }
    observed = report.families.map { $1.observed }
    self.expected = expected
    guard expected != observed else { return nil }
  }
}

/// A difference that was worked out before, so that a host that says the same again need not be asked for its texts.
package struct KnownDifference: Hashable, Sendable {
  package let host: HostID
  package let sides: DriftSides
  /// As `HostDrift.exact`.
  package let exact: Digest
  /// As `HostDrift.encoded`.
  package let body: [UInt8]

  package init(host: HostID, sides: DriftSides, exact: Digest, body: [UInt8]) {
    self.host = host
    self.sides = sides
    self.exact = exact
    self.body = body
  }

  /// Nil for what is not worth remembering: there is nothing to compare, or it is longer than `bodyLimit`.
  package init?(_ drift: HostDrift, _ sides: DriftSides) {
    guard let exact = drift.exact, let body = drift.encoded, body.count <= Self.bodyLimit else { return nil }
    self.init(host: drift.host, sides: sides, exact: exact, body: body)
  }

  /// In bytes. A longer difference is asked for again.
  package static let bodyLimit = 1 << 20
}

/// The same without what it is in full, which is known by its digest.
package struct DifferenceState: Hashable, Sendable {
  package let sides: DriftSides
  package let exact: Digest
  package let body: Digest

  package init(sides: DriftSides, exact: Digest, body: Digest) {
    self.sides = sides
    self.exact = exact
    self.body = body
  }
}

/// Since when a host differs as it does now, by our own clock.
package struct DriftSpan: Hashable, Sendable {
  /// When it last said something else; nil when that is not known.
  package let notBefore: UTCTime?
  package let firstSeen: UTCTime
  package let lastSeen: UTCTime
  /// What it holds, and what it held when it last said something else; nil when that is not known.
  package let observed: PerFamily<Digest>?
  package let before: PerFamily<Digest>?

  package init(
    notBefore: UTCTime?, firstSeen: UTCTime, lastSeen: UTCTime, observed: PerFamily<Digest>? = nil,
    before: PerFamily<Digest>? = nil
  ) {
    self.notBefore = notBefore
    self.firstSeen = firstSeen
    self.lastSeen = lastSeen
    self.observed = observed
    self.before = before
  }

  /// Of all of them: since one of them began, until one was last seen.
  static func joining(_ spans: [DriftSpan]) -> DriftSpan? {
    guard let first = spans.map(\.firstSeen).min(), let last = spans.map(\.lastSeen).max() else { return nil }
    let before = spans.compactMap(\.notBefore)
    return DriftSpan(
      notBefore: before.count == spans.count ? before.min() : nil, firstSeen: first, lastSeen: last)
  }
}
