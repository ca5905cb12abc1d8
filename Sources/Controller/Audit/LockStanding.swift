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

  /// - Parameters:
  ///   - sent: orders that this controller sent.
  ///   - refusal: with which word and sentence the host refused the very order that is expected of it.
  ///   - missing: profiles that it is to have and does not speak of.
  package init(
    _ host: HostID, _ report: LockdownReport?, expected: LockExpectation, sent: Set<Epoch> = [],
    refusal: String? = nil, missing: [LockdownReport.Profile] = []
  ) {
    self.host = host
    lock = report?.lock
    heard = report?.heard
    lastLift = report?.lastLift
    profiles = ((report?.profiles ?? []) + missing).sorted { $0.name < $1.name }
    guard let report else {
      state = .unknown
      finding = "its agent says nothing of lockdowns: run 'portcullis enroll \(host)'"
      return
    }
    state = report.lock == nil ? .open : .locked
    finding = Self.finding(report, expected, sent, refusal.map { SafeText.escape($0) })
  }

  /// Those of its release that an order could not lock with.
  package var unstaged: [LockdownReport.Profile] { profiles.filter { $0.problem != nil } }

  private static func finding(
    _ report: LockdownReport, _ expected: LockExpectation, _ sent: Set<Epoch>, _ refusal: String?
  ) -> String? {
    switch (expected, report.lock) {
    case (.open, nil), (.lifted, nil): nil
    case (.open, let lock?): "locked by \(unexpected(lock.epoch, sent))"
    case (.lifted(let epoch), let lock?):
      lock.epoch > epoch
        ? "locked by \(unexpected(lock.epoch, sent))"
        : "still locked by order \(lock.epoch): \(unheard("lift \(epoch)", refusal))"
    case (.locked(let epoch, let order), let lock?): finding(lock, epoch, order, sent, refusal)
    case (.locked(let epoch, _), nil): finding(ofOpen: report, epoch, sent, refusal)
    }
  }

  /// A host goes by the labels of the release it committed, which may be others than the inventory's.
  private static func unexpected(_ epoch: Epoch, _ sent: Set<Epoch>) -> String {
    sent.contains(epoch)
      ? "order \(epoch), which by the inventory is not for it" : "order \(epoch), which this controller did not send"
  }

  private static func unheard(_ order: String, _ refusal: String?) -> String {
    refusal.map { "it refused \(order): \($0)" } ?? "\(order) has not reached it"
  }

  private static func finding(
    _ lock: LockReport, _ epoch: Epoch, _ order: Digest, _ sent: Set<Epoch>, _ refusal: String?
  ) -> String? {
    guard lock.order == order else {
      return lock.epoch > epoch
        ? "locked by \(unexpected(lock.epoch, sent))"
        : "locked by order \(lock.epoch): \(unheard("order \(epoch)", refusal))"
    }
    switch lock.phase {
    case .locking: return "locked in its journal, and nothing loads there yet"
    case .fallback: return "\(lock.profile) does not load there: the built-in profile is in its place, which shuts more"
    case .locked: break
    }
    let differing = Family.allCases.compactMap { family in
      lock.differences[family].map { "\(family): \(SafeText.escape($0))" }
    }
    guard !differing.isEmpty else {
      return lock.uncut.map {
        "connections from before may live on there (\(SafeText.escape($0))): "
          + "'portcullis lockdown resume \(epoch) --all' cuts again"
      }
    }
    return "its lockdown is not as it was loaded (\(differing.joined(separator: "; "))): "
      + "'portcullis lockdown resume \(epoch) --all' mends it"
  }

  private static func finding(
    ofOpen report: LockdownReport, _ epoch: Epoch, _ sent: Set<Epoch>, _ refusal: String?
  ) -> String? {
    guard let lift = report.lastLift, lift.epoch == epoch else {
      return report.heard >= epoch && refusal == nil
        ? "open, although it heard order \(report.heard)" : "open: \(unheard("order \(epoch)", refusal))"
    }
    switch lift.cause {
    case .itself: return nil
    case .console(let reason): return "root lifted order \(epoch) at the console: \(SafeText.escape(reason))"
    case .order(let by): return "open by \(unexpected(by, sent)); it lifted order \(epoch)"
    }
  }
}
