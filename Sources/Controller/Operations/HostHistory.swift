package import Audit
package import Core
package import Store

/// What happened to one host, with what we know of why.
package enum HostHistory {
  package struct Entry: Hashable, Sendable {
    package let event: HostEvent
    /// Who brought the release that it is about; nil when others did it, and when this controller did not or does not
    /// remember.
    package let actor: String?
    /// Why that release was made.
    package let reason: String?

    package init(event: HostEvent, actor: String?, reason: String?) {
      self.event = event
      self.actor = actor
      self.reason = reason
    }
  }

  /// In the order in which we learnt of it.
  /// - Returns: how many older ones were left out, besides.
  package static func read(
    _ host: HostID, since: UTCTime?, store: FleetStore?
  ) async throws -> (entries: [Entry], leftOut: Int) {
    guard let store else { return ([], 0) }
    let (events, leftOut) = try await store.events(of: [host] as Set, since: since)
    return (try await entries(events, store), leftOut)
  }

  private static func entries(_ events: [HostEvent], _ store: FleetStore) async throws -> [Entry] {
    guard events.contains(where: { $0.serial != nil }) else {
      return events.map { Entry(event: $0, actor: nil, reason: nil) }
    }
    let reasons = Dictionary(try await store.releases().map { ($0.serial, $0.reason) }) { first, _ in first }
    let actors = Dictionary(
      try await store.runs(limit: 100_000).compactMap { run in run.serial.map { ($0, run.actor) } }
    ) { _, first in first }
    return events.map { event in
      // A release that a host lost is named, and nobody who brought it did that.
      guard event.cause != .external else { return Entry(event: event, actor: nil, reason: nil) }
      // Without a reason releases have a dash.
      let reason = event.serial.flatMap { reasons[$0] }.flatMap { $0 == "-" ? nil : SafeText.escape($0) }
      return Entry(event: event, actor: event.serial.flatMap { actors[$0] }.map { SafeText.escape($0) }, reason: reason)
    }
  }
}
