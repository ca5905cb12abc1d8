package import Core
package import Wire

/// Something a watched host did, as far as its controller got to know.
package struct WatchedChange: Hashable, Sendable {
  package enum Event: Hashable, Sendable {
    /// It said how it stands; nil: a change waits, so nobody knows. Nothing is printed of that: what is new in it is told
    /// besides.
    case heard(differs: Bool?)
    /// It differs from what was committed, since before anybody watched.
    case differs
    /// A change of ours waits there to be confirmed, which is no drift.
    case waits(Serial)
    /// Its rules changed.
    case changed(HostChange.Cause, families: PerFamily<Bool>, chains: [HostChange.Chain], omittedChains: Int)
    /// Changes that its agent does not remember.
    case forgotten(Int)
    /// It is not watched: why, safe to print.
    case lost(String)
    case watchedAgain
  }

  package let host: HostID
  /// By the controller's clock.
  package let at: UTCTime
  package let event: Event
  /// As `HostDrift.exact`, of what differs after it; nil when nothing does, or nobody compared it.
  package let difference: Digest?
  /// What differs is exactly what somebody waived.
  package private(set) var isWaived = false
  /// Of a change that waits: when the host takes it back by itself, by our own clock.
  package let until: UTCTime?
  /// By the host's own clock.
  package let hostTime: UTCTime?
  /// By the host's own clock too: it came after that, nobody knows when.
  package let hostSince: UTCTime?
  /// Best effort.
  package let actors: [HostChange.Actor]
  /// The lines that came and went.
  package let moves: [DifferingLines.Move]
  /// What changed beside the rules, in words, safe to print.
  package let beside: [String]
  /// Why those are not known, safe to print.
  package let unread: String?

  package init(
    host: HostID, at: UTCTime, event: Event, difference: Digest? = nil, until: UTCTime? = nil,
    hostTime: UTCTime? = nil, hostSince: UTCTime? = nil, actors: [HostChange.Actor] = [],
    moves: [DifferingLines.Move] = [], beside: [String] = [], unread: String? = nil
  ) {
    self.host = host
    self.at = at
    self.event = event
    self.difference = difference
    self.until = until
    self.hostTime = hostTime
    self.hostSince = hostSince
    self.actors = actors
    self.moves = moves
    self.beside = beside
    self.unread = unread
  }

  /// - Parameter waivers: as they are at this moment; somebody may just have made one.
  package func judged(by waivers: [HostID: Waiver], at now: UTCTime) -> WatchedChange {
    var judged = self
    judged.isWaived = difference.map { waivers[host]?.covers($0, at: now) ?? false } ?? false
    return judged
  }

  /// Equal for hosts that say the same; process numbers and clocks are each host's own.
  fileprivate var key: Key {
    Key(
      event: event, isWaived: isWaived, actors: Set(actors.map(\.name)), moves: moves, beside: beside, unread: unread)
  }

  fileprivate struct Key: Hashable {
    let event: Event
    let isWaived: Bool
    let actors: Set<String>
    let moves: [DifferingLines.Move]
    let beside: [String]
    let unread: String?
  }
}

/// The same of several hosts at about the same time.
package struct WatchedGroup: Sendable {
  /// The first that came.
  package let first: WatchedChange
  /// By name.
  package let hosts: [HostID]

  /// In the order of the first of each.
  package static func fold(_ changes: [WatchedChange]) -> [WatchedGroup] {
    var order: [WatchedChange] = []
    var hosts: [WatchedChange.Key: [HostID]] = [:]
    for change in changes {
      // One host that does the same twice is not two hosts.
      if hosts[change.key] == nil { order.append(change) }
      hosts[change.key, default: []].append(change.host)
    }
    return order.map { WatchedGroup(first: $0, hosts: Array(Set(hosts[$0.key] ?? [])).sorted()) }
  }
}
