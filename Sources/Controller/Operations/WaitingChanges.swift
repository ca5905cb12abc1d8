internal import Audit
internal import Core
internal import Wire

/// Changes of ours that wait on hosts to be confirmed, each with the time at which the last of its hosts takes it back.
struct WaitingChanges {
  private var ends: [Serial: UTCTime] = [:]
  private let now: UTCTime

  init(_ received: [ReceivedReport], now: UTCTime) {
    self.now = now
    for received in received {
      guard let pending = received.report.pending else { continue }
      let end = received.receivedAt + Int64(pending.millisecondsLeft) / 1000
      ends[pending.serial] = max(end, ends[pending.serial] ?? end)
    }
  }

  /// Nil where nothing waits, as far as known.
  func words(of report: Report) -> String? {
    guard let serial = report.pending?.serial, let end = ends[serial], end > now else { return nil }
    return "release \(serial) waits there to be confirmed, until \(end) at the latest"
  }
}
