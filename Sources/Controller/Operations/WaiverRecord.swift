internal import Audit
internal import Core
internal import Store

/// What the audit log says of waivers: a damaged store may have one that was ended since.
struct WaiverRecord {
  private struct Deed {
    /// Nil when it may have been at any time.
    let time: UTCTime?
    let isWaiving: Bool
    /// Nil when it may have been any host's.
    let hosts: Set<String>?
  }

  private let deeds: [Deed]
  private let isWhole: Bool

  /// - Parameter record: nil when the log cannot be read.
  init(_ record: AuditRecord?) {
    isWhole = record.map { $0.missing == nil } ?? false
    var deeds: [Deed] = []
    var next: UTCTime?
    for line in (record?.lines ?? []).reversed() {
      guard let entry = line else {
        // Not later than what stands after it; anything else may have been in it.
        deeds.append(Deed(time: next, isWaiving: false, hosts: nil))
        continue
      }
      next = UTCTime(entry.time)
      guard entry.phase == .began else { continue }
      if entry.verb == Waiving.verb || entry.verb == Waiving.end || entry.verb.hasPrefix("enroll") {
        deeds.append(Deed(time: next, isWaiving: entry.verb == Waiving.verb, hosts: entry.hostNames))
      }
    }
    self.deeds = deeds
  }

  /// Whether nothing was done about this host since that waiver was made. Where the log does not say which hosts it was,
  /// it may have been this one.
  func stillCounts(_ waiver: Waiver) -> Bool {
    let since = deeds.filter { deed in
      (deed.time.map { $0 >= waiver.made } ?? true) && (deed.hosts?.contains(waiver.host.description) ?? true)
    }
    // The first is its own.
    return isWhole && since.count <= 1 && since.allSatisfy(\.isWaiving)
  }
}
