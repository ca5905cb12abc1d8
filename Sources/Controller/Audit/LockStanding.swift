package import Core
package import Wire

/// What the last order that is for a host asked of it, as far as this controller sent it.
package enum LockExpectation: Hashable, Sendable {
  case open
  case lifted(Epoch)
  case locked(Epoch, order: Digest)
}

/// How a host stands as to lockdowns, by its own report, and whether that is as it was ordered.
package struct LockStanding: Hashable, Sendable {
  package enum State: String, Hashable, Sendable, CaseIterable {
    case open
    case locked = "locked-down"
    /// Its agent does not say.
    case unknown
  }

  package let host: HostID
  package let state: State
  package let lock: LockReport?
  /// The last order it heard.
  package let heard: Epoch?
  package let lastLift: LiftReport?
  package let profiles: [LockdownReport.Profile]
  /// How it is not as ordered, in a sentence, safe to print; nil when it is.
  package let finding: String?

  package init(_ host: HostID, _ report: LockdownReport?, expected: LockExpectation) {
    self.host = host
    lock = report?.lock
    heard = report?.heard
    lastLift = report?.lastLift
    profiles = report?.profiles ?? []
    guard let report else {
      state = .unknown
      finding = "its agent says nothing of lockdowns: run 'portcullis enroll \(host)'"
      return
    }
    state = report.lock == nil ? .open : .locked
    finding = Self.finding(report, expected)
  }

  /// Those of its release that an order could not lock with.
  package var unstaged: [LockdownReport.Profile] { profiles.filter { $0.problem != nil } }

  private static func finding(_ report: LockdownReport, _ expected: LockExpectation) -> String? {
    switch (expected, report.lock) {
    case (.open, nil), (.lifted, nil): nil
    case (.open, let lock?): "locked by order \(lock.epoch), which this controller did not send"
    case (.lifted(let epoch), let lock?):
      lock.epoch > epoch
        ? "locked by order \(lock.epoch), which this controller did not send"
        : "still locked by order \(lock.epoch): lift \(epoch) has not reached it"
    case (.locked(let epoch, let order), let lock?): finding(lock, epoch, order)
    case (.locked(let epoch, _), nil): finding(ofOpen: report, epoch)
    }
  }

  private static func finding(_ lock: LockReport, _ epoch: Epoch, _ order: Digest) -> String? {
    guard lock.order == order else {
      return lock.epoch > epoch
        ? "locked by order \(lock.epoch), which this controller did not send"
        : "locked by order \(lock.epoch): order \(epoch) has not reached it"
    }
    switch lock.phase {
    case .locking: return "locked in its journal, and nothing loads there yet"
    case .fallback: return "\(lock.profile) does not load there: the built-in profile is in its place, which shuts more"
    case .locked: break
    }
    let differing = Family.allCases.compactMap { family in
      lock.differences[family].map { "\(family): \(SafeText.escape($0))" }
    }
    guard !differing.isEmpty else { return nil }
    return "its lockdown is not as it was loaded (\(differing.joined(separator: "; "))): "
      + "'portcullis lockdown resume \(epoch) --all' mends it"
  }

  private static func finding(ofOpen report: LockdownReport, _ epoch: Epoch) -> String? {
    guard report.heard >= epoch else { return "open: order \(epoch) has not reached it" }
    guard let lift = report.lastLift, lift.epoch == epoch else {
      return "open, although it heard order \(report.heard)"
    }
    switch lift.cause {
    case .itself: return nil
    case .console(let reason): return "root lifted order \(epoch) at the console: \(SafeText.escape(reason))"
    case .order(let by): return "order \(by) lifted it, which this controller did not send"
    }
  }
}
