package import Core

/// Somebody knows of a difference of one host, and answers for it until a day is over.
package struct Waiver: Hashable, Sendable {
  package var host: HostID
  /// As `HostDrift.exact`: any other difference is drift.
  package var difference: Digest
  /// What differs, in a line for lists; safe to print.
  package var words: String
  /// The first moment after its last day.
  package var ends: UTCTime
  package var reason: String
  package var actor: String
  package var made: UTCTime

  package init(
    host: HostID, difference: Digest, words: String, ends: UTCTime, reason: String, actor: String, made: UTCTime
  ) {
    self.host = host
    self.difference = difference
    self.words = words
    self.ends = ends
    self.reason = reason
    self.actor = actor
    self.made = made
  }

  /// `2027-01-31`
  package var lastDay: String { String((ends + -1).description.prefix(10)) }

  package func isOver(at now: UTCTime) -> Bool { now >= ends }

  package func covers(_ difference: Digest, at now: UTCTime) -> Bool {
    self.difference == difference && !isOver(at: now)
  }

  /// For an operator.
  var sentence: String { "waived until \(lastDay) by \(SafeText.escape(actor)): \(SafeText.escape(reason))" }
}
