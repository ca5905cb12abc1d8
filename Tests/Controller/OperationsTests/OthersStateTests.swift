import Core
import Foundation
import Glibc
import Operations
import Store
import Testing

/// A fleet's folder that belongs to somebody else.
struct OthersStateTests {
  @Test(.enabled(if: getuid() == 0, "becoming another user needs root"))
  func whoMayReadTheStateNeedNotOwnIt() async throws {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves)
    try await folder.enroll("h1")
    try folder.store.close()
    let file = folder.workspace.storePath
    chmod((file as NSString).deletingLastPathComponent, 0o755)
    chmod(folder.path, 0o755)
    chmod(file, 0o644)
    await #expect(processExitsWith: .success) { [path = folder.path as String] in
      setgid(65534)
      setuid(65534)
      let workspace = try Workspace.open(config: path + "/portcullis.yaml", environment: nil)
      guard let store = try workspace.existingStore() else { exit(3) }
      guard try await store.enrolments().count == 1 else { exit(4) }
    }
  }
}
