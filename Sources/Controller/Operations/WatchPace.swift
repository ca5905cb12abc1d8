internal import Core

/// How much a watched host may say: more than any agent does, and less than would hurt. Agents remember 512 changes and
/// look for new ones five times a second at most; what answers without end, or invents changes, is none.
struct WatchPace: Sendable {
  static let most = 2048
  static let window = Duration.seconds(60)
  /// Before a host is called again: the first, and the longest.
  static let pauses: (first: Duration, last: Duration) = (.seconds(1), .seconds(60))

  private var began: ContinuousClock.Instant?
  private var count = 0

  /// - Parameter changes: in one answer; an answer without any counts as one.
  mutating func take(_ changes: Int, at now: ContinuousClock.Instant = .now) throws(Reason) {
    if began.map({ $0.duration(to: now) > Self.window }) ?? true {
      began = now
      count = 0
    }
    count += max(1, changes)
    guard count <= Self.most else { throw Reason("it says more than \(Self.most) changes a minute, as no agent does") }
  }

  /// A host that was watched for a while is called again soon; one that ends every conversation early is not.
  static func pause(after last: Duration, watchedFor time: Duration) -> Duration {
    time > window ? pauses.first : min(last * 2, pauses.last)
  }
}
