package import Core
package import Store

extension Workspace {
  /// The epoch that the next order must lie above: hosts that heard a later one refuse it, and a store that was lost or is
  /// an old backup must not find that out when a lockdown waits. Reads no report.
  package func epochFloor(in store: FleetStore) async throws -> Epoch {
    let last = try await store.lastEpoch()
    let claims = try await store.heardEpochs()
    let heard = ClaimedFloor.floor(last: last.value, claims: claims.map(\.value))
    // A log that cannot be read says nothing.
    let logged = (try? audit.lastOrder(upTo: ClaimedFloor.believable(after: heard)))?.number ?? 0
    return Epoch(max(heard, logged))
  }
}
