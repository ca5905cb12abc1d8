import Audit
import Core
import Operations
import Store
import Testing
import Wire

/// Hosts refuse an order that is not above the last they heard.
struct OrderEpochTests {
  let folder: FleetFolder
  init() throws { folder = try FleetFolder(policy: FleetFolder.bothHalves) }

  private func report(_ host: String, heard: UInt64) -> ReceivedReport {
    var report = FleetFolder.report(host, owners: [])
    report.lockdown = LockdownReport(lock: nil, heard: Epoch(heard), profiles: [], lastLift: nil)
    return ReceivedReport(report, receivedAt: FleetFolder.now)
  }

  @Test func `a store without memory begins above what hosts heard, and no single host spends the epochs`() async throws
  {
    let store = folder.store
    #expect(try await folder.workspace.epochFloor(in: store) == .none)
    try await store.record(reports: [report("h1", heard: 9), report("h2", heard: 0), report("h3", heard: .max)])
    #expect(try await folder.workspace.epochFloor(in: store) == Epoch(9))
    let epoch = try await store.allocateEpoch(above: folder.workspace.epochFloor(in: store))
    #expect(epoch == Epoch(10))
    #expect(try await folder.workspace.epochFloor(in: store) == epoch)
  }

  @Test func `a line of the audit log leaves an empty store epochs that hosts would still take`() async throws {
    for order in [Epoch.maximumStep / 2 + ClaimedFloor.slack + 1, Epoch.maximumStep] {
      _ = try await folder.workspace.audited("lockdown start", hosts: [], reason: nil) {
        ActionEnd(exitCode: 0, order: Epoch(order))
      }
      #expect(try await folder.workspace.epochFloor(in: folder.store) == .none, "after a line that names \(order)")
    }
  }

  @Test func `a store that is an old backup begins above what the audit log tells`() async throws {
    let store = folder.store
    for order: UInt64 in [12, 1 << 40] {
      _ = try await folder.workspace.audited("lockdown start", hosts: [], reason: nil) {
        ActionEnd(exitCode: 0, order: Epoch(order))
      }
      #expect(try await folder.workspace.epochFloor(in: store) == Epoch(12), "after a line that names \(order)")
    }
  }
}
