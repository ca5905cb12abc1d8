package import Core
package import Wire

/// The number that the next one must lie above, from what we gave out and what hosts say they have.
///
/// A host's word about itself is not proof. A single host that claims the highest number there is would leave none for
/// anybody, and one that claims a number 2^20 ahead would make the others refuse the next as too far ahead. So a claim
/// counts only when it is near to what we gave out ourselves, or to what most hosts say: then even a store that was lost,
/// or came back from an old backup, ends up above its hosts. The host whose claim does not count refuses what is next as
/// older, and hurts only itself.
package enum ClaimedFloor {
  /// How far above the rest a claim may lie: far more numbers than a backup can be behind, and so little that hundreds of
  /// lies in a row do not bring other hosts out of reach.
  package static let slack: UInt64 = 4096

  /// - Parameter last: the highest we gave out; 0 when we have no memory.
  /// - Parameter claims: of every host that reported, in any order.
  package static func floor(last: UInt64, claims: [UInt64]) -> UInt64 {
    let furthest = furthest(after: last)
    let claims = claims.filter { $0 <= furthest }
    let voices = (claims + (last == 0 ? [] : [last])).sorted()
    guard !voices.isEmpty else { return 0 }
    // The lower one of two in the middle: of two that disagree, the liar is the one that claims too much.
    let base = max(last, voices[(voices.count - 1) / 2])
    let highest = reach(base)
    return voices.last { $0 <= highest } ?? base
  }

  /// Half of what hosts take at once: above that, a liar who is alone would leave no number, or not enough of them, for
  /// hosts that heard nothing yet.
  package static func furthest(after last: UInt64) -> UInt64 {
    sum(last, min(Serial.maximumStep, Epoch.maximumStep) / 2)
  }

  /// How far above the last number we know of one of the audit log may lie. A single line must not spend the numbers that
  /// hosts would still take.
  package static func believable(after last: UInt64) -> UInt64 { reach(last == 0 ? furthest(after: 0) : last) }

  /// The highest number that is near to that one.
  package static func reach(_ number: UInt64) -> UInt64 { sum(number, slack) }

  private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }
}

/// The serial that the next release must lie above.
package enum SerialFloor {
  package static func floor(last: Serial, claims: [Serial]) -> Serial {
    Serial(ClaimedFloor.floor(last: last.value, claims: claims.map(\.value)))
  }

  /// The highest serial that a host says it took, whether or not it kept the release: it takes none twice.
  package static func claim(of report: Report) -> Serial? {
    [report.committed?.serial, report.lastFailure?.serial, report.pending?.serial].compactMap { $0 }.max()
  }
}
