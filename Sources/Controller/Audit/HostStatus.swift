package import Core
package import Wire

/// The judgement of one host at one moment.
package struct HostStatus: Hashable, Sendable {
  package struct FamilyStatus: Hashable, Sendable {
    package var expected: Digest?
    package var observed: Digest?
    package var save: Digest?
    package init(expected: Digest? = nil, observed: Digest? = nil, save: Digest? = nil) {
      self.expected = expected
      self.observed = observed
      self.save = save
    }
  }

  package var host: HostID
  package var delivery: Delivery
  package var integrity: Integrity
  package var contact: Contact
  /// The release that the host said it runs; nil when it never said, or runs none.
  package var serial: Serial?
  /// In the order the words are declared in.
  package var modifiers: [Modifier]
  /// All nil when the host never reported.
  package var families: PerFamily<FamilyStatus>
  /// Seconds since the last report came in, never negative; nil when none did.
  package var age: Int64?
  /// Seconds that its own clock was ahead of ours when it reported; nothing is judged by it.
  package var clockAhead: Int64?
  /// Why it is not current, intact and fresh, one sentence each, safe to print.
  package var reasons: [String]
  package var backend: Backend?
  /// Safe to print.
  package var iptablesVersion: String?
  package var agentVersion: String?
  package var conflicts: [String]
  /// Whose chains there are beside ours, in plain words; a newer agent may know more software than this controller.
  package var ownerWords: [String]
  /// What else filters packets there; nil when its agent does not say. Its texts are not safe to print.
  package var others: OthersReport?
  /// A change that was loaded and not confirmed when the host reported.
  package var pending: PendingStatus?
  /// The last thing root did at the console, until the next commit.
  package var localAct: LocalStatus?
  /// Nil when its agent does not say.
  package var lockdown: LockdownStatus?
  /// Lockdown profiles that it is to have and has not yet, one sentence each, safe to print.
  package var unstaged: [String] = []

  /// Those of them that are known here.
  package var owners: [ForeignOwner] { ownerWords.compactMap(ForeignOwner.init(rawValue:)) }

  /// Nothing to do and nothing to worry about.
  package var isGood: Bool {
    delivery == .current && integrity == .intact && contact == .fresh && modifiers.isEmpty
      && pending == nil && localAct == nil
  }
}

/// Turns facts into the words of docs/cli.md. Pure: the time is an argument.
package struct StatusJudge: Sendable {
  /// Seconds between two sweeps when nothing is configured.
  package static let defaultInterval: Int64 = 300
  /// A report this far from the future means that our own clock went back, and ages mean nothing.
  static let tolerableSkew: Int64 = 60
  /// A host's clock that is further off is told. An answer may take a minute on its way.
  package static let toldSkew: Int64 = 120

  package var now: UTCTime
  /// Seconds after which a report is old.
  package var staleAfter: Int64

  package init(now: UTCTime, staleAfter: Int64 = 3 * StatusJudge.defaultInterval) {
    self.now = now
    self.staleAfter = staleAfter
  }

  /// - Parameter desired: nil when no release names the host yet.
  package func judge(_ host: HostID, desired: DesiredHost?, observation: HostObservation) -> HostStatus {
    let report = observation.lastReport?.report
    let delivery = Self.delivery(desired: desired, observation: observation)
    let integrity = integrity(observation)
    let contact = contact(observation)
    let age = observation.lastReport.map { max(0, now - $0.receivedAt) }
    let pending = observation.lastReport.flatMap { received in
      received.report.pending.map { PendingStatus($0, received: received.receivedAt, now: now) }
    }
    let localAct = report?.localAct.map(LocalStatus.init)
    let lockdown = observation.lastReport.flatMap { received in
      received.report.lockdown.map { LockdownStatus($0, received) }
    }
    return HostStatus(
      host: host, delivery: delivery.state, integrity: integrity.state, contact: contact.state,
      serial: report?.committed?.serial,
      modifiers: (lockdown?.lock == nil ? [] : [.lockedDown]) + (report?.degraded == nil ? [] : [.degraded]),
      families: PerFamily { family in
        let facts = report?.families[family]
        return .init(expected: facts?.expected, observed: facts?.observed, save: facts?.save)
      },
      age: age, clockAhead: observation.lastReport?.clockAhead,
      reasons: [
        lockdown?.lock?.words, delivery.reason, integrity.reason, contact.reason, pending?.words, localAct?.words,
        Self.degradation(report), Self.renewal(report), Self.skew(observation.lastReport),
      ].compactMap { $0 } + (lockdown?.problems ?? []),
      backend: report?.backend, iptablesVersion: report.map { SafeText.escape($0.iptablesVersion) },
      agentVersion: report.map { SafeText.escape($0.agentVersion) },
      conflicts: report?.conflicts.map { SafeText.escape($0) } ?? [], ownerWords: report?.ownerWords ?? [],
      others: report?.others, pending: pending, localAct: localAct, lockdown: lockdown)
  }

  /// Why the safe policy is loaded, unless root loaded it.
  private static func degradation(_ report: Report?) -> String? {
    guard let why = report?.degraded, report?.localAct?.deed != .safe else { return nil }
    return "the safe policy is loaded, because the committed rules could not be: \(SafeText.escape(why))"
  }

  /// Its own times would mislead whoever reads them.
  private static func skew(_ received: ReceivedReport?) -> String? {
    guard let received, abs(received.clockAhead) > toldSkew else { return nil }
    return "its clock said \(received.report.time) when ours said \(received.receivedAt)"
  }

  /// Why a host prints its rules in other words than before, and is not drifted.
  private static func renewal(_ report: Report?) -> String? {
    guard let renewal = report?.renewal else { return nil }
    let (from, to) = (SafeText.escape(renewal.from), SafeText.escape(renewal.to))
    return "its iptables changed from \(from) to \(to): the committed rules were rehearsed again on \(renewal.at)"
  }

  typealias Judgement<State> = (state: State, reason: String?)

  /// Only an attempt for the content that is wanted now counts. Times are whole seconds: when an attempt and a report
  /// share one, a bad attempt counts as the later, a good one as the earlier, so that doubt never shows as `current`.
  ///
  ///     last attempt       later than the report     not later
  ///     committed          current                   (as none)
  ///     failed, reverted   failed, reverted          current if the report shows the content, otherwise unchanged:
  ///                                                  a report of the old rules does not undo the failure
  ///     unknown            unknown                   (as none): the host has been asked since
  ///     none, pending      –                         current if the report shows the content; failed or reverted if it
  ///                                                  says so of this very release; otherwise pending
  static func delivery(desired: DesiredHost?, observation: HostObservation) -> Judgement<Delivery> {
    guard let desired else { return (.pending, "no release names this host yet") }
    let received = observation.lastReport
    let shows = received?.report.committed?.content == desired.content
    let attempt = observation.lastAttempt.flatMap { $0.content == desired.content ? $0 : nil }

    if let attempt {
      let bad = attempt.at >= (received?.receivedAt ?? attempt.at)
      let good = received.map { attempt.at > $0.receivedAt } ?? true
      switch attempt.result {
      case .committed: if good { return (.current, nil) }
      case .failed: if bad || !shows { return (.failed, words("the last apply failed", attempt.detail)) }
      case .reverted: if bad || !shows { return (.reverted, words("the last apply was rolled back", attempt.detail)) }
      case .unknown: if bad { return (.unknown, words("the answer of the last apply was lost", attempt.detail)) }
      case .pending: break
      }
    }
    guard let received else {
      return (.pending, words("never reported", attempt?.result == .pending ? attempt!.detail : ""))
    }
    if shows { return (.current, nil) }
    if let failure = received.report.lastFailure, failure.serial == desired.serial, desired.serial != .none {
      switch failure.result {
      case .failed: return (.failed, words("the host says its last apply failed", failure.detail))
      case .reverted: return (.reverted, words("the host says its last apply was rolled back", failure.detail))
      case .committed, .unchanged: break
      }
    }
    guard let committed = received.report.committed else { return (.pending, "nothing was ever applied") }
    return (.pending, "runs release \(committed.serial), which says something else")
  }

  /// What the host last said stands until it says something else: an unreachable host is not a drifted one.
  func integrity(_ observation: HostObservation) -> Judgement<Integrity> {
    guard let received = observation.lastReport else { return (.unknown, nil) }
    if let attempt = observation.lastAttempt, attempt.result == .committed, attempt.at > received.receivedAt {
      return (.unknown, "has not reported since the last apply")
    }
    // What a change that waits has loaded may stay or go back: its own words say until when.
    guard received.report.committed != nil, received.report.pending == nil else { return (.unknown, nil) }
    for family in Family.allCases where received.report.families[family].expected == nil {
      return (.unknown, "did not say what it expects in \(family)")
    }
    guard let words = Self.difference(received.report) else { return (.intact, nil) }
    return waived(observation, received.report, words) ?? (.drifted, words + ": 'portcullis drift' shows how")
  }

  /// In words, which sides differ; nil where none does. A family whose report lists something beside its rules differs
  /// there, and its digest does not tell whether in the rules too.
  private static func difference(_ report: Report) -> String? {
    var subjects: [String] = []
    var besides: Set<DriftSide> = []
    var doubtful: [String] = []
    for family in Family.allCases where report.families[family].expected != report.families[family].observed {
      let sides = report.families[family].chains.compactMap { BesideTable(rawValue: $0.table).map(DriftSide.init) }
      if sides.isEmpty { subjects.append("\(family)") } else { doubtful.append("\(family)") }
      besides.formUnion(sides)
    }
    guard !subjects.isEmpty || !besides.isEmpty else { return nil }
    subjects += DriftSide.allCases.filter(besides.contains).map { "what is \($0.rawValue)" }
    let maybe = doubtful.isEmpty ? "" : ", and maybe the \(doubtful.joined(separator: " and ")) rules,"
    return "\(subjects.joined(separator: " and "))\(maybe) "
      + "\(subjects.count == 1 && doubtful.isEmpty ? "differs" : "differ") from what was committed"
  }

  /// Only the very difference that somebody answers for; nil where nobody does.
  private func waived(
    _ observation: HostObservation, _ report: Report, _ words: String
  ) -> Judgement<Integrity>? {
    guard let waiver = observation.waiver else { return nil }
    guard let difference = observation.difference, difference.sides == DriftSides(report) else {
      return (.drifted, "\(words); whether this is what was waived, 'portcullis drift' tells")
    }
    guard waiver.difference == difference.exact else {
      return (.drifted, "\(words); it is another difference than the one that was waived")
    }
    guard !waiver.isOver(at: now) else { return (.drifted, "\(words); it was waived until \(waiver.lastDay)") }
    return (.waived, "\(words); \(waiver.sentence)")
  }

  /// Times are whole seconds. The store forgets a failure when the host reports, so that one in the same second as a report
  /// came after it.
  func contact(_ observation: HostObservation) -> Judgement<Contact> {
    if let failure = observation.lastContactFailure,
      observation.lastReport.map({ failure.at >= $0.receivedAt }) ?? true
    {
      return (.unreachable, words("no contact since \(failure.at)", failure.reason))
    }
    guard let received = observation.lastReport else { return (.stale, nil) }
    let age = now - received.receivedAt
    if age < -Self.tolerableSkew { return (.stale, "its report is from \(received.receivedAt), after our own clock") }
    return age > staleAfter ? (.stale, "its last report is older than \(staleAfter) seconds") : (.fresh, nil)
  }
}

private func words(_ what: String, _ detail: String) -> String {
  detail.isEmpty ? what : what + ": " + SafeText.escape(detail)
}
