import Core
import Store
import Testing

@testable import Console
@testable import Operations

/// What the verbs of a lockdown say, compared with Golden/lockdown-*.txt as GoldenTranscriptTests does.
struct LockdownTranscriptTests {
  @Test func `arming and signing say what comes next`() async throws {
    let scene = try await LockdownScene()
    let arming = Arming(scene.workspace, scene.store)
    let outlook = try await arming.look(
      .init(
        profile: ProfileName("isolate")!, pattern: "prod,db", approvals: nil, liftsAfter: 7200, validFor: 86_400,
        reason: "INC-991 in case"), scene.inventory)
    let order = try await arming.arm(outlook)
    let armed = try ArmDocument(Self.byOps(order), outlook)
    #expect(armed.exitCode == 2)
    try Golden.compare(armed, "lockdown-arm", [.text, .json, .ndjson])
    let (signed, signature) = try await OrderSigning(scene.workspace, scene.store).sign(order.epoch, key: scene.bert) {
      try Golden.compare(try OrderDocument($0, hosts: outlook.hosts), "lockdown-order", [.text])
    }
    try Golden.compare(
      try SignDocument(Self.byOps(signed), by: signature.principal, hosts: outlook.hosts), "lockdown-sign",
      [.text, .json])
  }

  /// Whoever runs the test.
  private static func byOps(_ order: StoredOrder) -> StoredOrder {
    var order = order
    for index in order.signatures.indices { order.signatures[index].actor = "ops" }
    return order
  }

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
