import Audit
import Core
import Inventory
import Release
import Store
import Testing
import Transport
import Wire

@testable import Operations

/// What hosts say of lockdowns is compared with the orders of the store.
struct LockdownStandingTests {
  private let fleet: FleetFolder

  init() throws { fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2"]) }

  /// Sent, and refused by h1.
  private func order(
    _ kind: StoredOrder.Kind, for words: [String], refusal: OrderOutcome.Kind? = nil
  ) async throws -> Epoch {
    let epoch = try await fleet.store.allocateEpoch()
    let terms = try OrderTerms(
      fleet: FleetID("lab")!, epoch: epoch, scope: LockScope(any: words), issued: FleetFolder.now,
      arriveBy: FleetFolder.now + 3600, reason: "-")
    let statement =
      kind == .unlock
      ? try UnlockOrder(terms: terms).encode()
      : try LockdownOrder(
        terms: terms, isDrill: kind == .drill, profile: ProfileName("isolate")!, liftsAfter: nil
      ).encode()
    try await fleet.store.keep(
      StoredOrder(
        epoch: epoch, kind: kind, statement: statement, threshold: 1, made: FleetFolder.now, actor: "anna",
        signatures: [
          OrderSignature(principal: "anna", armored: [1], added: FleetFolder.now, actor: "anna")
        ]), for: [])
    let hosts = ["h1", "h2"].map { HostID($0)! }
    try await fleet.store.markSent(epoch, to: hosts, at: FleetFolder.now)
    if let refusal {
      try await fleet.store.record(
        outcomes: [OrderOutcome(host: hosts[0], at: FleetFolder.now, kind: refusal)], of: epoch)
    }
    return epoch
  }

  @Test func `the last order for a host is expected of it, and how it refused just that is known`() async throws {
    let first = try await order(
      .lockdown, for: ["all"], refusal: .refused(code: "profileMissing", words: "release 11 has no profile isolate"))
    _ = try await order(.drill, for: ["all"])
    let lift = try await order(.unlock, for: ["host:h2"], refusal: .verified)
    let standing = LockdownStanding(fleet.workspace, limits: ContactLimits())
    let ordered = try await standing.ordered(try fleet.workspace.inventory().hosts, fleet.store)
    let one = try #require(ordered.byHost[HostID("h1")!])
    guard case .locked(first, _) = one.expectation else { return #expect(Bool(false), "\(one)") }
    #expect(one.refusal == "profileMissing: release 11 has no profile isolate")
    let two = try #require(ordered.byHost[HostID("h2")!])
    #expect(two.expectation == .lifted(lift) && two.refusal == nil)
    #expect(ordered.sent == [first, lift])
  }

  @Test func `what hosts said is shown also when it cannot be recorded`() async throws {
    let agents = FakeAgents { _, message in
      switch message {
      case .hello:
        .hello(
          AgentHello(
            version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID("h1")!, fleet: FleetID("lab")!))
      case .report(let nonce):
        .report(FleetFolder.report("h1", nonce: nonce))
      default: nil
      }
    }
    let endpoint = HostEndpoint(name: "h1", addresses: [], user: "portcullis")
    let looked = try await LockdownStanding(
      fleet.workspace, limits: ContactLimits(parallel: 1, timeout: patience)
    ).look(
      [(HostID("h1")!, FleetID("lab")!, endpoint)], over: agents, ordered: .init(), armed: [], fleet.store
    ) { reports in
      #expect(reports.count == 1)
      throw Reason("the disk is full")
    }
    #expect(looked.standings.map(\.host) == [HostID("h1")!])
    #expect(looked.recordingFailure.map { ErrorChain($0).line } == "the disk is full")
  }
}
