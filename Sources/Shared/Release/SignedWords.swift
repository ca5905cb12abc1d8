internal import Core

/// What every signed statement says in the same words.
package enum SignedWords {
  /// In bytes of printable ASCII.
  package static let maximumReasonLength = 512

  package static func fault(inReason reason: String) -> String? {
    guard (1...maximumReasonLength).contains(reason.utf8.count) else {
      return "the reason has \(reason.utf8.count) bytes; 1 to \(maximumReasonLength) are allowed"
    }
    guard reason.utf8.allSatisfy(ASCII.isPrintable), reason.utf8.first != 0x20, reason.utf8.last != 0x20 else {
      return "the reason must be one line of printable ASCII without spaces around it"
    }
    return nil
  }

  static func fault(inTime time: UTCTime) -> String? {
    UTCTime(time.description) == time ? nil : "lies outside the years 1970 to 9999"
  }
}
