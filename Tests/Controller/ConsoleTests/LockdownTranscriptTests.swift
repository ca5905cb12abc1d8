import Core
import Store
import Testing

@testable import Operations

/// What the verbs of a lockdown say.
struct LockdownTranscriptTests {
  @Test func `a profile that no host has arms nothing`() async throws {
    let scene = try await LockdownScene()
    let error = await #expect(throws: Failure.self) {
      try await Arming(scene.workspace, scene.store).look(
        .init(
          profile: ProfileName("isolat")!, pattern: "web", approvals: nil, liftsAfter: nil, validFor: 60, reason: "x"),
        scene.inventory)
    }
    #expect(error?.kind == .refused && error?.hint == "did you mean 'isolate'?")
    #expect(try await scene.store.orders().isEmpty)
  }
}
