package import Core
package import Wire

/// What a host said of lockdowns, by our own clock and safe to print.
package struct LockdownStatus: Hashable, Sendable {
  package struct Lock: Hashable, Sendable {
    package let epoch: Epoch
    package let profile: ProfileName
    package let rank: LockRank
    package let phase: LockReport.Phase
    package let since: UTCTime
    /// Nil for never.
    package let liftsAt: UTCTime?
    package let signers: [String]
    package let reason: String
    /// How it is not as it was loaded.
    package let differences: PerFamily<String?>
    /// Why connections from before may live on.
    package let uncut: String?

    /// For an operator.
    var words: String {
      let state =
        switch phase {
        case .locking: "order \(epoch) (\(profile)) locks it down, and is not read back yet,"
        case .locked: "locked down by order \(epoch) (\(profile))"
        case .fallback: "locked down by order \(epoch), by the built-in profile since \(profile) would not load,"
        }
      let lift = liftsAt.map { ", lifts itself at \($0)" } ?? ""
      let old = uncut.map { ", connections from before may live on (\($0))" } ?? ""
      return "\(state) since \(since)\(lift)\(old): \(reason)"
    }
  }

  package struct Profile: Hashable, Sendable {
    package let name: ProfileName
    package let rank: LockRank
    /// Why an order cannot lock with it; nil where it can.
    package let problem: String?
  }

  package struct Lift: Hashable, Sendable {
    package let epoch: Epoch
    /// `order`, `itself` or `console`.
    package let cause: String
    package let byOrder: Epoch?
    package let reason: String?
    /// By the host's own clock.
    package let at: UTCTime
  }

  package let lock: Lock?
  /// The last order it heard; none when it never did.
  package let heard: Epoch
  package let profiles: [Profile]
  package let lastLift: Lift?

  init(_ report: LockdownReport, _ received: ReceivedReport) {
    lock = report.lock.map { lock in
      Lock(
        epoch: lock.epoch, profile: lock.profile, rank: lock.rank, phase: lock.phase,
        since: received.receivedAt + min(0, lock.since - received.report.time),
        liftsAt: lock.secondsLeft.map { received.receivedAt + Int64($0) },
        signers: lock.principals.map { SafeText.escape($0) }, reason: SafeText.escape(lock.reason),
        differences: lock.differences.map { _, words in words.map { SafeText.escape($0) } },
        uncut: lock.uncut.map { SafeText.escape($0) })
    }
    heard = report.heard
    profiles = report.profiles.map {
      Profile(name: $0.name, rank: $0.rank, problem: $0.problem.map { SafeText.escape($0) })
    }
    lastLift = report.lastLift.map(Lift.init)
  }

  /// One sentence for each way in which profiles fail.
  var problems: [String] {
    var names: [(problem: String, names: [String])] = []
    for profile in profiles {
      guard let problem = profile.problem else { continue }
      if let index = names.firstIndex(where: { $0.problem == problem }) {
        names[index].names.append("\(profile.name)")
      } else {
        names.append((problem, ["\(profile.name)"]))
      }
    }
    return names.map { problem, names in
      "lockdown profile\(names.count == 1 ? "" : "s") \(names.joined(separator: ", ")) cannot be used: \(problem)"
    }
  }
}

extension LockdownStatus.Lift {
  fileprivate init(_ lift: LiftReport) {
    epoch = lift.epoch
    at = lift.at
    switch lift.cause {
    case .order(let epoch): (cause, byOrder, reason) = ("order", epoch, nil)
    case .itself: (cause, byOrder, reason) = ("itself", nil, nil)
    case .console(let words): (cause, byOrder, reason) = ("console", nil, SafeText.escape(words))
    }
  }
}

/// On how many hosts a lockdown profile is ready.
package struct ProfileCoverage: Hashable, Sendable {
  package let name: ProfileName
  /// An order could lock with it.
  package let staged: Int
  /// They have it, and it cannot be used.
  package let unusable: Int

  /// By name.
  package static func of(_ statuses: some Sequence<HostStatus>) -> [ProfileCoverage] {
    var counts: [ProfileName: (staged: Int, unusable: Int)] = [:]
    for profile in statuses.lazy.flatMap({ $0.lockdown?.profiles ?? [] }) {
      if profile.problem == nil {
        counts[profile.name, default: (0, 0)].staged += 1
      } else {
        counts[profile.name, default: (0, 0)].unusable += 1
      }
    }
    return counts.map { ProfileCoverage(name: $0, staged: $1.staged, unusable: $1.unusable) }
      .sorted { $0.name.description < $1.name.description }
  }
}
