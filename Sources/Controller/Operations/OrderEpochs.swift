package import Core
package import Store

extension Workspace {
  /// The epoch that the next order must lie above: hosts that heard a later one refuse it, and a store that was lost or is
  /// an old backup must not find that out when a lockdown waits. Reads no report.
  package func epochFloor(in store: FleetStore) async throws -> Epoch {
    let last = try await store.lastEpoch()
    let claims = try await store.heardEpochs()
    let heard = ClaimedFloor.floor(last: last.value, claims: claims.map(\.value))
    // A single line must not spend the epochs that hosts would still take. A log that cannot be read says nothing.
    let highest = heard == 0 ? Epoch.maximumStep : ClaimedFloor.reach(heard)
    let logged = (try? audit.lastOrder(upTo: highest))?.number ?? 0
    return Epoch(max(heard, logged))
  }
}
