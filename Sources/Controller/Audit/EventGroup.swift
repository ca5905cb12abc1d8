package import Core

/// The same thing that happened to several hosts at about the same time.
package struct EventGroup: Hashable, Sendable {
  /// Of the first of them, without what each host has of its own.
  package private(set) var event: HostEvent
  /// By name.
  package private(set) var hosts: [HostID]
  package private(set) var first: UTCTime
  package private(set) var last: UTCTime
  /// On all of them together.
  package private(set) var times = 1

  /// Hosts of one sweep answer within a minute or so.
  package static let together: Int64 = 120

  /// In the order of their first times. A host stands in a group once: what happens to it twice is told twice, but for
  /// changes, of which a busy writer makes many. What happened to a host stands in its order, also where that parts a
  /// group.
  /// - Parameter brief: a reason without what is a host's own, such as its address.
  package static func fold(
    _ events: [HostEvent], brief: (String, HostID) -> String = { text, _ in text }
  ) -> [EventGroup] {
    struct Key: Hashable {
      let kind: HostEvent.Kind
      let cause: HostEvent.Cause
      let serial: Serial?
      var details: HostEvent.Details
    }
    var groups: [(group: EventGroup, members: Set<HostID>)] = []
    var open: [Key: Int] = [:]
    var newest: [HostID: Int] = [:]
    for event in events.sorted(by: { $0.at < $1.at }) {
      let details = event.details.common
      var key = Key(kind: event.kind, cause: event.cause, serial: event.serial, details: details)
      key.details.reason = details.reason.map { brief($0, event.host) }
      if let index = open[key], index >= newest[event.host] ?? 0, event.at - groups[index].group.last <= together,
        groups[index].members.insert(event.host).inserted || event.kind == .changed
      {
        newest[event.host] = index
        groups[index].group.last = event.at
        groups[index].group.times += 1
        if groups[index].group.event.details.reason != details.reason {
          groups[index].group.event.details.reason = key.details.reason
        }
      } else {
        open[key] = groups.count
        newest[event.host] = groups.count
        var said = event
        said.details = details
        groups.append((EventGroup(event: said, hosts: [], first: event.at, last: event.at), [event.host]))
      }
    }
    return groups.map { group, members in
      var group = group
      group.hosts = members.sorted()
      return group
    }
  }
}

extension EventGroup {
  /// For an operator, safe to print.
  package var words: String { event.words + (times > hosts.count ? ", \(times) times" : "") }
}

extension HostEvent {
  /// For an operator, safe to print.
  package var words: String {
    func with(_ what: String, _ detail: String?) -> String { detail.map { "\(what): \($0)" } ?? what }
    let release = serial.map { "release \($0)" } ?? "a release"
    let change = "\(details.from ?? "?") → \(details.to ?? "?")"
    let places = (details.chains.map { $0.map(Self.place) } ?? details.families)?.joined(separator: ", ")
    return switch kind {
    case .enrolled: "enrolled" + (details.to.map { ", agent \($0)" } ?? "")
    case .removed: "removed from the fleet"
    case .committed: "committed \(release)"
    case .failed: with("\(release) failed", details.reason)
    case .reverted: with("\(release) was taken back", details.reason)
    case .emptied: "has nothing committed any more; it had \(release)"
    case .drifted: with("drifted", places)
    case .driftChanged: with("differs in another way now", places)
    case .restored: "holds what it committed again"
    case .changed: with(details.holds == true ? "changed back" : "changed", places) + by + clock
    case .changesLost: with("\(details.count ?? 0) changes are not known", details.reason)
    case .alarm: "something keeps changing it back: repaired \(details.count ?? 0) times within a day, and left alone"
    case .degraded: with("loaded the safe policy", details.reason)
    case .recovered: "loaded its own rules again"
    case .rebooted: "rebooted"
    case .agentChanged: "agent \(change)"
    case .programsChanged: change
    case .lockedDown: with("locked down by order \(details.order ?? 0) (\(details.to ?? "?"))", details.reason)
    case .lifted:
      "the lockdown of order \(details.order ?? 0) "
        + (details.lift.map { "was lifted by order \($0)" } ?? "lifted itself: its time was over")
    case .console:
      with("\(LocalStatus.words(ofDeed: details.to)) at the console by root", details.reason)
    case .unreachable: with("unreachable", details.reason)
    case .reached: "answers again"
    }
  }

  /// By whom, as far as known.
  package var by: String {
    details.actors.map { ", by \($0.map(\.words).joined(separator: ", "))" } ?? ""
  }

  /// What stands beside the rules is no chain of theirs, and of no family.
  private static func place(_ chain: String) -> String {
    let parts = chain.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, let slash = parts[1].firstIndex(of: "/") else { return chain }
    let name = parts[1][parts[1].index(after: slash)...]
    return BesideWords.place(table: String(parts[1][..<slash]), chain: String(name)) ?? chain
  }

  /// When, by a clock that is not ours to trust. One that goes right says nothing new of what was learnt at once.
  private var clock: String {
    guard let time = details.hostTime else { return "" }
    if let ahead = details.clockAhead { return ", at \(time) by its clock (\(ClockSkew.words(ahead)))" }
    guard let happened = UTCTime(time), at - happened > Self.learntAtOnce else { return "" }
    return ", at \(time)"
  }

  /// In seconds.
  private static let learntAtOnce: Int64 = 60
}
