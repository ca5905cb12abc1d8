package import Core
package import Wire

/// The serial that the next release must lie above, from what we gave out and what hosts say they have.
///
/// A host's word about itself is not proof. A single host that claims the highest number there is would leave no serial
/// for anybody, and one that claims a number 2^20 ahead would make the others refuse the next release as too far ahead.
/// So a claim counts only when it is near to what we gave out ourselves, or to what most hosts say: then even a store
/// that was lost, or came back from an old backup, ends up above its hosts. The host whose claim does not count refuses
/// the release as older, and hurts only itself.
package enum SerialFloor {
  /// How far above the rest a claim may lie: far more releases than a backup can be behind, and so little that hundreds
  /// of lies in a row do not bring other hosts out of reach.
  package static let slack: UInt64 = 4096

  /// - Parameter last: the highest we gave out; `.none` when we have no memory.
  /// - Parameter claims: of every host that reported, in any order.
  package static func floor(last: Serial, claims: [Serial]) -> Serial {
    let voices = (claims + (last == .none ? [] : [last])).sorted()
    guard !voices.isEmpty else { return .none }
    // The lower one of two in the middle: of two that disagree, the liar is the one that claims too much.
    let base = max(last, voices[(voices.count - 1) / 2])
    let (sum, overflow) = base.value.addingReportingOverflow(slack)
    let highest = Serial(overflow ? .max : sum)
    return voices.last { $0 <= highest } ?? base
  }

  /// The highest serial that a host says it took, whether or not it kept the release: it takes none twice.
  package static func claim(of report: Report) -> Serial? {
    [report.committed?.serial, report.lastFailure?.serial, report.pending?.serial].compactMap { $0 }.max()
  }
}
