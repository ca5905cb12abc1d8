package import Core

/// What a lockdown and an unlock order have in common.
package struct OrderTerms: Hashable, Sendable {
  /// From `issued` to `arriveBy`, in seconds.
  package static let longestWay: Int64 = 24 * 3600

  package let fleet: FleetID
  package let epoch: Epoch
  package let scope: LockScope
  package let issued: UTCTime
  /// The first second at which no host obeys any more that has not obeyed before.
  package let arriveBy: UTCTime
  /// In its author's words; `-` when nothing was said.
  package let reason: String

  /// Throws for a value the text format has no spelling for.
  package init(
    fleet: FleetID, epoch: Epoch, scope: LockScope, issued: UTCTime, arriveBy: UTCTime, reason: String = "-"
  ) throws(FormatProblem) {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem("order \(epoch)", reason) }
    guard epoch > .none else { throw refuse("epoch 0 means that there was no order; the first is 1") }
    for (name, time) in [("issued", issued), ("arrive-by", arriveBy)] {
      if let fault = SignedWords.fault(inTime: time) { throw refuse("'\(name)' \(fault)") }
    }
    guard (1...Self.longestWay).contains(arriveBy - issued) else {
      throw refuse(
        "it has \(arriveBy - issued) seconds to arrive (\(issued) to \(arriveBy)); 1 to \(Self.longestWay) are allowed")
    }
    if let fault = SignedWords.fault(inReason: reason) { throw refuse(fault) }
    self.fleet = fleet
    self.epoch = epoch
    self.scope = scope
    self.issued = issued
    self.arriveBy = arriveBy
    self.reason = reason
  }
}
