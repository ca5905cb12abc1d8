internal import Audit
internal import Core
internal import Release
internal import Store
internal import Wire

/// Lockdown profiles that hosts are to have and that no order could lock with there: what hosts say of the profiles they
/// have does not tell.
struct UnstagedProfiles {
  private var byHost: [HostID: [(entry: ProfileEntry, why: String)]] = [:]

  init() {}

  /// - Parameter desired: of enrolled hosts.
  init(
    of desired: [HostID: DesiredHost], _ observations: [HostID: HostObservation], _ store: FleetStore
  ) async throws {
    // Whoever committed what it is to have says itself which profiles cannot be used.
    let hosts = desired.values.filter { desired in
      let report = observations[desired.host]?.lastReport?.report
      return report?.lockdown == nil || report?.committed?.content != desired.content
    }.map(\.host)
    for (host, bytes) in try await store.manifestsWithProfiles(of: hosts) {
      let has = Set(observations[host]?.lastReport?.report.lockdown?.profiles.map(\.name) ?? [])
      let missing = try Manifest.parse(bytes).profiles.filter { !has.contains($0.name) }
      byHost[host] = missing.compactMap { entry in
        guard case .notStaged(let why) = StagedCoverage.standing(observations[host], entry.name) else { return nil }
        return (entry, why)
      }
    }
  }

  /// One sentence each.
  func words(_ host: HostID) -> [String] {
    (byHost[host] ?? []).map { "lockdown profile \($0.entry.name) is not staged: \($0.why)" }
  }

  /// As if the host had said so.
  func profiles(_ host: HostID) -> [LockdownReport.Profile] {
    (byHost[host] ?? []).map { .init(name: $0.entry.name, rank: $0.entry.rank, problem: $0.why) }
  }
}
