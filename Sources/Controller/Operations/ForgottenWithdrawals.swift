internal import Audit
internal import Core
internal import Ruleset
internal import Store
internal import Wire

/// Hosts that were withdrawn by a release which this controller has lost with its store, or which is newer than its
/// backup. They say that they committed a bundle of which nothing is to be loaded, and must not get our rules back because
/// nobody remembers why.
enum ForgottenWithdrawals {
  private static let nothing = Ruleset().digest

  /// - Parameter released: what is remembered of later releases counts more.
  static func hosts(_ observations: [HostID: HostObservation], released: [HostID: DesiredHost]) -> Set<HostID> {
    Set(
      observations.filter { host, known in
        guard let report = known.lastReport?.report, let committed = report.committed,
          committed.serial > released[host]?.serial ?? .none
        else { return false }
        return Family.allCases.allSatisfy { report.families[$0].expected == nothing }
      }.keys)
  }
}
