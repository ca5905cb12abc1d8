package import Core

/// Whether a host that was repaired before may be repaired again with nobody looking. Something that changes it back
/// would otherwise be fought for ever, and the fight would look like health.
package enum RepairPatience: Hashable, Sendable {
  case now
  case notBefore(UTCTime)
  /// So many times within `window`: something keeps changing it back, and a person has to look.
  case given(up: Int)

  /// In seconds.
  package static let window: Int64 = 86_400
  static let firstPause: Int64 = 300
  static let most = 5

  /// - Parameter earlier: when it was repaired.
  package static func judge(_ earlier: [UTCTime], now: UTCTime) -> RepairPatience {
    // A clock that was set back makes times of the future: they count, as what is not known to be long ago.
    let recent = earlier.filter { now - $0 < window }
    guard let last = recent.max() else { return .now }
    guard recent.count < most else { return .given(up: recent.count) }
    let next = last + firstPause << Int64(recent.count - 1)
    return now >= next || last > now + window ? .now : .notBefore(next)
  }
}
