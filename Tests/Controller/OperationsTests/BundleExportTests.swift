import Core
import Store
import Testing

@testable import Operations

struct BundleExportTests {
  @Test func `a folder holds one bundle: another is refused, and the same may be written again`() async throws {
    let fleet = PlanningTests()
    let workspace = try fleet.workspace()
    let store = try workspace.store()
    try await fleet.released(workspace, store)
    let folder = fleet.folder + "/exported"
    func export(_ host: String, _ serial: UInt64) async throws -> [String] {
      try await BundleExport(workspace).export(HostID(host)!, serial: Serial(serial), to: folder, store: store)
    }
    let files = try await export("h001", 1)
    #expect(files.contains("manifest") && files.contains("ipv4.rules"))
    // What an auditor puts beside it is none of ours.
    try Files.write([1], to: folder + "/allowed_signers")
    #expect(try await export("h001", 1) == files)
    let before = try Files.read(folder + "/manifest")
    for (host, serial) in [("h002", UInt64(1)), ("h001", 2)] {
      do {
        _ = try await export(host, serial)
        Issue.record("two bundles were mixed")
      } catch {
        #expect(ErrorChain(error).kind == .refused && ErrorChain(error).message.contains("of another bundle"))
      }
      #expect(try Files.read(folder + "/manifest") == before)
    }
    // One that this bundle does not have would be judged with it.
    try Files.write([1], to: folder + "/release.statement.7.sig")
    await #expect(throws: Failure.self) { try await export("h001", 1) }
    try store.close()
  }
}
