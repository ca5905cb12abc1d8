package import Audit
package import Core
internal import Inventory
package import Release
internal import Wire

/// On which hosts a lockdown profile is ready, by what they said last. Pure.
package struct StagedCoverage: Hashable, Sendable {
  package enum Standing: Hashable, Sendable {
    case staged(LockRank)
    /// An order would be refused, lock by the built-in profile, or not be for it: why, safe to show.
    case notStaged(String)
  }

  package private(set) var hosts: [HostID: Standing] = [:]

  package init() {}

  package var staged: [HostID] {
    hosts.compactMap { if case .staged = $1 { $0 } else { nil } }.sorted()
  }

  /// By rank: a release that changes it may not have reached everybody.
  package var ranks: [LockRank] {
    Set(hosts.values.compactMap { if case .staged(let rank) = $0 { rank } else { nil } }).sorted()
  }

  package var notStaged: [String: [HostID]] {
    var hosts: [String: [HostID]] = [:]
    for (host, standing) in self.hosts {
      if case .notStaged(let why) = standing { hosts[why, default: []].append(host) }
    }
    return hosts.mapValues { $0.sorted() }
  }

  /// - Parameters:
  ///   - committed: the manifest of what the host says it runs; nil when that is not kept any more.
  package mutating func add(
    _ host: HostID, _ observation: HostObservation?, committed: Manifest?, isEnrolled: Bool, profile: ProfileName,
    scope: LockScope
  ) {
    guard isEnrolled else {
      hosts[host] = .notStaged("it is not enrolled")
      return
    }
    let standing = Self.standing(observation, profile)
    guard case .staged = standing, let committed, !scope.includes(host, labels: committed.labels) else {
      hosts[host] = standing
      return
    }
    let release = observation?.lastReport?.report.committed?.serial ?? committed.serial
    hosts[host] = .notStaged("release \(release) knows it by other groups: the order would not be for it")
  }

  /// By what the host said last.
  static func standing(_ observation: HostObservation?, _ name: ProfileName) -> Standing {
    guard let report = observation?.lastReport?.report else { return .notStaged("it has not reported yet") }
    guard let lockdown = report.lockdown else {
      return .notStaged("its agent knows of no lockdowns: enroll it again")
    }
    guard let release = report.committed?.serial else { return .notStaged("nothing is committed there") }
    guard let profile = lockdown.profiles.first(where: { $0.name == name }) else {
      return .notStaged(
        lockdown.profiles.isEmpty
          ? "release \(release) has no profiles for it" : "release \(release) has no profile \(name) for it")
    }
    if let problem = profile.problem { return .notStaged(SafeText.escape(problem)) }
    return .staged(profile.rank)
  }
}
