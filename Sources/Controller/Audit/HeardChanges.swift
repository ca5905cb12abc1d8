package import Core
internal import Ruleset
package import Wire

/// Up to where the changes of a host are known.
package struct KnownChanges: Hashable, Sendable {
  /// The number of the last one that was asked for; 0 before the first.
  package let last: UInt64
  /// As the host's last report has it.
  package let observed: PerFamily<Digest>

  package init(last: UInt64, observed: PerFamily<Digest>) {
    self.last = last
    self.observed = observed
  }

  /// Whether this report gives cause to ask who changed the host: it differs from what it committed, or from what it
  /// said before.
  package func giveCause(_ report: Report) -> Bool {
    report.committed != nil && report.pending == nil
      && (DriftSides(report) != nil || report.families.map { $1.observed } != observed)
  }
}

/// What an agent remembers of changes to its host, as it told us.
package struct HeardChanges: Hashable, Sendable {
  package let host: HostID
  /// By our own clock.
  package let at: UTCTime
  /// How far the host's clock is ahead of ours, in seconds.
  package let ahead: Int64
  /// It was asked for those after this one.
  package let after: UInt64
  package let changes: Changes

  package init(host: HostID, at: UTCTime, ahead: Int64, after: UInt64, changes: Changes) {
    self.host = host
    self.at = at
    self.ahead = ahead
    self.after = after
    self.changes = changes
  }

  /// In seconds. What is said and heard takes some.
  static let tolerableSkew: Int64 = 5

  package struct Event: Sendable {
    /// Equal only for the same change of the same host, however often it is told.
    package let origin: Digest
    package let event: HostEvent
  }

  /// In their order. What the agent changed itself is told by its reports.
  package var events: [Event] {
    forgotten + changes.entries.filter { $0.cause == .others }.map { Event(origin: Self.origin($0), event: event($0)) }
  }

  private static func origin(_ change: HostChange) -> Digest {
    // The time too: an agent that was installed anew counts from one again.
    Digest(of: "\(change.bootID) \(change.sequence) \(change.time)".utf8)
  }

  private var forgotten: [Event] {
    // Before we first asked nobody wanted to know.
    guard changes.omitted > 0, after > 0 else { return [] }
    return [lost(changes.omitted, "its agent does not remember them any more")]
  }

  /// - Parameter why: in words for an operator.
  package func lost(_ count: Int, _ why: String) -> Event {
    var details = HostEvent.Details()
    (details.count, details.reason) = (count, why)
    return Event(
      origin: Digest(of: "lost \(after) \(count) \(changes.last)".utf8),
      event: HostEvent(host: host, at: at, kind: .changesLost, cause: .external, details: details))
  }

  private func event(_ change: HostChange) -> HostEvent {
    var details = HostEvent.Details()
    details.hostTime = change.time.description
    details.clockAhead = abs(ahead) > Self.tolerableSkew ? ahead : nil
    details.bootID = HostEvent.safe(change.bootID)
    details.change = change.sequence
    details.holds = Family.allCases.allSatisfy { !change.families[$0].differs }
    details.observed = Family.allCases.map { change.families[$0].observed.description }
    let chains = change.chains.map {
      "\($0.family) \(SafeText.escape($0.table))/\(SafeText.escape(OwnedNames.shown($0.chain)))"
    }
    if !chains.isEmpty { details.chains = chains + (change.omittedChains > 0 ? ["…"] : []) }
    let actors = change.actors.compactMap { actor in
      HostEvent.safe(actor.name).map { HostEvent.Actor(name: $0, process: actor.process) }
    }
    if !actors.isEmpty { details.actors = actors }
    return HostEvent(host: host, at: at, kind: .changed, cause: .external, details: details)
  }
}

/// Which changes made a host differ as it does.
package struct DriftTrail: Hashable, Sendable {
  /// Since it last held what it committed, as far as they are known; the oldest first.
  package let changes: [HostEvent]
  /// Of those since it last said something else: their names, best effort.
  package let actors: [String]

  package static let empty = DriftTrail(changes: [], actors: [])

  private init(changes: [HostEvent], actors: [String]) {
    self.changes = changes
    self.actors = actors
  }

  /// - Parameters:
  ///   - changes: of this host, in the order in which we learnt of them.
  ///   - span: of what it holds now.
  package init(_ changes: [HostEvent], in span: DriftSpan) {
    guard let observed = span.observed.map(Self.words),
      let last = changes.last(where: { $0.details.observed == observed }), var number = last.details.change
    else {
      self = .empty
      return
    }
    let known = Dictionary(changes.map { ($0.details.change ?? 0, $0) }) { _, newer in newer }
    var trail = [last]
    // A number that is missing is one of the agent's own, or not known: what was before has another story.
    while number > 1, let before = known[number - 1], before.details.holds != true {
      trail.append(before)
      number -= 1
    }
    let earlier = span.before.map(Self.words)
    let recent = trail.prefix { $0.details.observed != earlier }
    self.init(
      changes: trail.reversed(), actors: Set(recent.flatMap { $0.details.actors ?? [] }.map(\.name)).sorted())
  }

  private static func words(_ observed: PerFamily<Digest>) -> [String] {
    Family.allCases.map { observed[$0].description }
  }
}
