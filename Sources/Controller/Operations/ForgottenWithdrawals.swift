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

  /// - Parameter store: knows what it released itself, and what of that was a withdrawal. Numbers tell nothing: a later
  ///   release for anybody has one of every host.
  static func hosts(_ observations: [HostID: HostObservation], _ store: FleetStore?) async throws -> Set<HostID> {
    let bare = observations.filter { _, known in
      guard let report = known.lastReport?.report, report.committed != nil else { return false }
      return Family.allCases.allSatisfy { report.families[$0].expected == nothing }
    }
    guard let store, !bare.isEmpty else { return Set(bare.keys) }
    return Set(bare.keys).subtracting(try await store.committedBundles(of: Array(bare.keys)).keys)
  }
}
