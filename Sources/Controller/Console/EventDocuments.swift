package import Audit
package import Core
internal import Inventory
package import Operations

/// What happened to hosts; the same on several at about the same time is one line.
package struct EventsDocument: Document {
  package static let kind = "Events"

  package struct Event: Encodable, Sendable {
    let hosts: [String]
    /// When we learnt it of the first and of the last of them.
    let first: String
    let last: String
    let event: String
    let cause: String
    @ExplicitNull var serial: UInt64?
    let details: HostEvent.Details
    /// On all of them together.
    let times: Int
    let words: String
  }

  let since: String
  let events: [Event]
  /// Older ones that nobody reads at once.
  let leftOut: Int

  package init(_ happened: [HostEvent], since: UTCTime, leftOut: Int = 0) {
    self.since = since.description
    self.leftOut = leftOut
    events = EventGroup.fold(happened, brief: { Brief.text($0, of: $1.description) }).map { group in
      Event(
        hosts: group.hosts.map(\.description), first: group.first.description, last: group.last.description,
        event: group.event.kind.rawValue, cause: group.event.cause.rawValue, serial: group.event.serial?.value,
        details: group.event.details, times: group.times, words: group.words)
    }
  }

  package var names: [String] { Set(events.flatMap(\.hosts)).sorted() }
  package var records: [any Encodable] { events }
  package var summary: [String: Int] {
    var counts = Dictionary(uniqueKeysWithValues: HostEvent.Cause.allCases.map { ($0.rawValue, 0) })
    for event in events { counts[event.cause, default: 0] += event.hosts.count }
    if leftOut > 0 { counts["left_out"] = leftOut }
    return counts
  }

  package func text(_ style: TextStyle) -> String {
    guard !events.isEmpty else { return "nothing happened since \(since) that this controller knows of\n" }
    var table = TextTable(["TIME"] + (style.wide ? ["UNTIL"] : []) + ["CAUSE", "HOSTS", "WHAT"])
    for event in events {
      table.add(
        [event.first] + (style.wide ? [event.last] : []) + [event.cause, Folding.fold(event.hosts), event.words])
    }
    return LeftOut.text(leftOut) + table.text()
  }
}

private enum LeftOut {
  static func text(_ count: Int) -> String {
    count == 0 ? "" : "\(count) older events are left out: --since and -l choose fewer\n"
  }
}

/// What happened to one host.
package struct HistoryDocument: Document {
  package static let kind = "History"

  package struct Event: Encodable, Sendable {
    let at: String
    let event: String
    let cause: String
    @ExplicitNull var serial: UInt64?
    @ExplicitNull var actor: String?
    @ExplicitNull var reason: String?
    let details: HostEvent.Details
    let words: String
  }

  let host: String
  let events: [Event]
  /// Older ones that nobody reads at once.
  let leftOut: Int

  package init(_ host: HostID, _ history: [HostHistory.Entry], leftOut: Int = 0) {
    self.host = host.description
    self.leftOut = leftOut
    events = history.map { entry in
      Event(
        at: entry.event.at.description, event: entry.event.kind.rawValue, cause: entry.event.cause.rawValue,
        serial: entry.event.serial?.value, actor: entry.actor, reason: entry.reason, details: entry.event.details,
        words: entry.event.words)
    }
  }

  package var names: [String] { [host] }
  package var records: [any Encodable] { events }
  package var summary: [String: Int] { ["events": events.count] }

  package func text(_ style: TextStyle) -> String {
    guard !events.isEmpty else { return "nothing happened to \(host) that this controller knows of\n" }
    var table = TextTable(["TIME", "CAUSE", "WHAT", "WHY"])
    for event in events {
      let why = [event.actor.map { "by \($0)" }, event.reason].compactMap(\.self).joined(separator: ": ")
      table.add([event.at, event.cause, event.words, why])
    }
    return LeftOut.text(leftOut) + table.text()
  }
}
