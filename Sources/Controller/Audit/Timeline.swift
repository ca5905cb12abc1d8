package import Core
internal import Ruleset
package import Wire

/// What happened to a host between two of its reports. Pure: what is known is an argument.
package struct Timeline: Sendable {
  /// More are counted.
  package static let namedChains = 32

  /// Whether a host holds what it committed, and if not, in which way.
  package enum Hold: Hashable, Sendable {
    /// Nothing is committed, or a change waits that may still go back.
    case unknown
    case intact
    /// Different differences have different digests.
    case drifted(Digest)

    package init(_ report: Report) {
      guard report.committed != nil, report.pending == nil else {
        self = .unknown
        return
      }
      var sides: [UInt8] = []
      for family in Family.allCases {
        let facts = report.families[family]
        guard let expected = facts.expected else {
          self = .unknown
          return
        }
        if expected != facts.observed {
          sides += Array(family.rawValue.utf8) + expected.bytes + facts.observed.bytes
        }
      }
      self = sides.isEmpty ? .intact : .drifted(Digest(of: sides))
    }

    /// As the newest event that tells it has it.
    package init?(_ event: HostEvent.Kind, _ details: HostEvent.Details) {
      guard event.tellsHold else { return nil }
      switch (event, details.difference.flatMap { Digest($0) }) {
      case (.removed, _), (.emptied, _): self = .unknown
      case (_, .some(let difference)): self = .drifted(difference)
      case (_, nil): self = .intact
      }
    }
  }

  let previous: Report?
  let report: Report
  let at: UTCTime
  let deed: OurDeed
  let held: Hold

  /// - Parameters:
  ///   - previous: what the host said before; nil when it never did.
  ///   - held: how it was when that last was told; nil: as the report before shows.
  ///   - deed: what we had done to it when it reported.
  package init(from previous: Report?, held: Hold? = nil, to received: ReceivedReport, after deed: OurDeed) {
    self.previous = previous
    report = received.report
    at = received.receivedAt
    self.deed = deed
    self.held = held ?? previous.map { Hold($0) } ?? .unknown
  }

  /// In the order in which they are told: what the machine did, what was done to it, what became of its rules.
  package func events() -> [HostEvent] {
    var events: [HostEvent] = []
    if previous == nil, deed == .enrolled {
      events.append(event(.enrolled, .intentional) { $0.to = HostEvent.safe(report.agentVersion) })
    }
    if let previous {
      events += machine(since: previous)
      events += acts(since: previous)
    } else if let why = report.degraded {
      events.append(event(.degraded, .corrective) { $0.reason = HostEvent.safe(why) })
    }
    events += lockdowns()
    return events + drift()
  }

  // MARK: - The machine

  private func machine(since previous: Report) -> [HostEvent] {
    var events: [HostEvent] = []
    if hasRebooted { events.append(event(.rebooted, .external) { $0.hostTime = report.time.description }) }
    if previous.agentVersion != report.agentVersion {
      events.append(
        event(.agentChanged, deed == .enrolled ? .intentional : .external) {
          $0.from = HostEvent.safe(previous.agentVersion)
          $0.to = HostEvent.safe(report.agentVersion)
        })
    }
    let (before, after) = (Self.programs(previous), Self.programs(report))
    if before != after {
      events.append(
        event(.programsChanged, .external) {
          $0.from = HostEvent.safe(before)
          $0.to = HostEvent.safe(after)
        })
    }
    return events
  }

  private var hasRebooted: Bool { previous.map { $0.bootID != report.bootID } ?? false }

  private static func programs(_ report: Report) -> String {
    "iptables \(report.iptablesVersion) (\(report.backend.name)), Linux \(report.kernel)"
  }

  // MARK: - What was done

  private func acts(since previous: Report) -> [HostEvent] {
    var events: [HostEvent] = []
    let isByHand = report.localAct != nil && report.localAct != previous.localAct
    if isByHand, let act = report.localAct {
      events.append(
        event(.console, .external) {
          $0.to = LocalStatus(act).name
          $0.reason = HostEvent.safe(act.reason)
          $0.hostTime = act.at.description
        })
    }
    if let why = report.degraded, previous.degraded == nil, !isByHand {
      events.append(event(.degraded, .corrective) { $0.reason = HostEvent.safe(why) })
    } else if report.degraded == nil, previous.degraded != nil {
      events.append(event(.recovered, hasCommitted ? causeOfCommit : .corrective))
    }
    if let failure = report.lastFailure, failure != previous.lastFailure {
      switch failure.result {
      case .reverted:
        // Whoever cancels wants it back; without a word it goes back by itself.
        events.append(
          event(.reverted, deed == .cancelled ? .intentional : .corrective, failure.serial) {
            $0.reason = HostEvent.safe(failure.detail)
          })
      case .failed:
        events.append(event(.failed, .intentional, failure.serial) { $0.reason = HostEvent.safe(failure.detail) })
      case .committed, .unchanged: break
      }
    }
    if report.committed == nil, let lost = previous.committed {
      events.append(event(.emptied, .external, lost.serial))
    } else if hasCommitted, !isByHand {
      events.append(event(.committed, causeOfCommit, report.committed?.serial))
    }
    return events
  }

  /// Also the same release again.
  private var hasCommitted: Bool {
    guard let previous, let committed = report.committed else { return false }
    return committed != previous.committed
  }

  /// Hosts commit nothing but what an owner signed and a controller brought.
  private var causeOfCommit: HostEvent.Cause { deed == .repaired ? .corrective : .intentional }

  // MARK: - Lockdowns

  private func lockdowns() -> [HostEvent] {
    var events: [HostEvent] = []
    // Who lifts at the console is told as what root did there.
    if let previous, let lift = report.lockdown?.lastLift, lift != previous.lockdown?.lastLift, !lift.isByHand {
      events.append(
        event(.lifted, .intentional) {
          $0.order = lift.epoch.value
          if case .order(let epoch) = lift.cause { $0.lift = epoch.value }
          $0.hostTime = lift.at.description
        })
    }
    if let lock = report.lockdown?.lock, lock.epoch != previous?.lockdown?.lock?.epoch {
      events.append(
        event(.lockedDown, .intentional) {
          $0.order = lock.epoch.value
          $0.to = lock.profile.description
          $0.reason = HostEvent.safe(lock.reason)
          $0.hostTime = lock.since.description
        })
    }
    return events
  }

  // MARK: - What the kernel holds

  private func drift() -> [HostEvent] {
    switch (held, Hold(report)) {
    case (_, .unknown), (.unknown, .intact), (.intact, .intact): return []
    case (.drifted, .intact): return [event(.restored, causeOfRestoring)]
    case (.drifted(let before), .drifted(let now)) where before == now: return []
    case (.drifted, .drifted(let now)): return [differing(.driftChanged, now)]
    case (.intact, .drifted(let now)), (.unknown, .drifted(let now)): return [differing(.drifted, now)]
    }
  }

  private var causeOfRestoring: HostEvent.Cause {
    if deed == .repaired { return .corrective }
    // Enrolling a host again puts back what an enrolment wrote.
    if deed == .applied || deed == .cancelled || deed == .enrolled || hasCommitted { return .intentional }
    // An agent loads at boot what was committed, and goes back to it when a release fails.
    let hasGoneBack = report.lastFailure != nil && report.lastFailure != previous?.lastFailure
    return hasRebooted || hasGoneBack || previous?.degraded != nil ? .corrective : .external
  }

  private func differing(_ kind: HostEvent.Kind, _ difference: Digest) -> HostEvent {
    event(kind, .external) {
      $0.difference = difference.description
      $0.families = Family.allCases.filter(differs).map(\.description)
      let all = places()
      guard !all.isEmpty else { return }
      $0.chains = all.prefix(Self.namedChains) + (all.count > Self.namedChains ? ["…"] : [])
    }
  }

  private func differs(_ family: Family) -> Bool {
    report.families[family].expected != report.families[family].observed
  }

  /// Where it differs; empty where that is not known.
  private func places() -> [String] {
    if let previous, !hasCommitted {
      return Family.allCases.flatMap { Self.chains($0, previous.families[$0], report.families[$0]) }
    }
    // Across a commit chains differ because they should. What is beside the rules is listed only where it differs.
    let beside = PerFamily { family in
      report.families[family].chains.filter { BesideTable(rawValue: $0.table) != nil }
        .map { "\(family) \(SafeText.escape("\($0.table)/\($0.chain)"))" }.sorted()
    }
    guard !beside.ipv4.isEmpty || !beside.ipv6.isEmpty else { return [] }
    return Family.allCases.flatMap { differs($0) && beside[$0].isEmpty ? ["\($0)"] : beside[$0] }
  }

  private static func chains(_ family: Family, _ before: FamilyReport, _ after: FamilyReport) -> [String] {
    func digests(_ facts: FamilyReport) -> [Place: Digest] {
      Dictionary(facts.chains.map { (Place(table: $0.table, chain: $0.chain), $0.digest) }) { first, _ in first }
    }
    let (before, after) = (digests(before), digests(after))
    let changed = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
    // A chain of ours is shown by the name of the built-in one that it hangs in.
    return Set(changed.map { "\(family) \(SafeText.escape("\($0.table)/\(OwnedNames.shown($0.chain))"))" }).sorted()
  }

  private struct Place: Hashable {
    let table: String
    let chain: String
  }

  private func event(
    _ kind: HostEvent.Kind, _ cause: HostEvent.Cause, _ serial: Serial? = nil,
    _ fill: (inout HostEvent.Details) -> Void = { _ in }
  ) -> HostEvent {
    var details = HostEvent.Details()
    fill(&details)
    return HostEvent(host: report.host, at: at, kind: kind, cause: cause, serial: serial, details: details)
  }
}

extension LiftReport {
  fileprivate var isByHand: Bool { if case .console = cause { true } else { false } }
}
