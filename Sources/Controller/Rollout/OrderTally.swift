package import Core

/// What a broadcast has come to so far.
package struct OrderTally: Sendable {
  package struct Counts: Hashable, Sendable {
    /// Answered by the agent that it took the order, verified or not.
    package var acknowledged = 0
    package var verified = 0
    package var refused = 0
    package var unreachable = 0
    package var unsure = 0
    package var notAsked = 0
    package var notMeant = 0
    package var waiting = 0
    package init() {}
  }

  /// Of those that answered for it, from the beginning of the broadcast to the answer.
  package struct Times: Hashable, Sendable {
    package let p50: Duration
    package let p99: Duration
    package let longest: Duration
  }

  package private(set) var claims: [HostID: OrderClaim]
  package private(set) var counts = Counts()
  /// They are to hear it, and it is not for them: a lift of others.
  package var outside: Set<HostID> = []
  private var answered: [HostID: Duration] = [:]
  /// Something of ours went wrong, whatever the hosts did.
  package var errors = 0
  package var interrupted = false

  package init(_ claims: [HostID: OrderClaim]) {
    self.claims = claims
    for claim in claims.values { count(claim, 1) }
  }

  /// - Parameter time: since the broadcast began.
  package mutating func note(_ claim: OrderClaim, of host: HostID, after time: Duration) {
    guard let before = claims.updateValue(claim, forKey: host) else { return count(claim, 1) }
    count(before, -1)
    count(claim, 1)
    if claim.obeyed != nil { answered[host] = time }
  }

  package var times: Times? {
    guard !answered.isEmpty else { return nil }
    let sorted = answered.values.sorted()
    func part(_ percent: Int) -> Duration { sorted[(sorted.count * percent + 99) / 100 - 1] }
    return Times(p50: part(50), p99: part(99), longest: sorted[sorted.count - 1])
  }

  /// - Parameter isDrill: then a host that would not obey is a finding, and none of it a failure.
  package func exitCode(isDrill: Bool) -> ExitCode {
    if interrupted { return .interrupted }
    if errors > 0 { return .error }
    let short = counts.refused + counts.acknowledged - counts.verified
    if short > 0, !isDrill { return .someFailed }
    let unasked = counts.unreachable + counts.unsure + counts.notAsked + counts.waiting - passed
    if unasked > 0 { return .someUnreachable }
    return short > 0 ? .finding : .done
  }

  /// A lift is not for them, and they were left to the later order that is.
  private var passed: Int {
    outside.count { if case .overtaken(_, mayHaveHeard: false) = claims[$0] { true } else { false } }
  }

  private mutating func count(_ claim: OrderClaim, _ change: Int) {
    switch claim {
    case .waiting: counts.waiting += change
    case .unreachable: counts.unreachable += change
    case .unsure, .overtaken(_, mayHaveHeard: true): counts.unsure += change
    case .refused: counts.refused += change
    case .acknowledged: counts.acknowledged += change
    case .verified:
      counts.acknowledged += change
      counts.verified += change
    case .notMeant: counts.notMeant += change
    case .notAsked, .overtaken(_, mayHaveHeard: false): counts.notAsked += change
    }
  }
}
