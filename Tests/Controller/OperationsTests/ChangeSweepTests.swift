import Audit
import Core
import Inventory
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

/// Who changed a host is asked where there is cause, on the same connection.
struct ChangeSweepTests {
  private static let host = HostID("h1")!

  /// - Parameter changes: the answer to whoever knows the changes up to that one.
  private static func agents(
    drifted: Bool, _ changes: @escaping @Sendable (UInt64) -> AgentMessage?
  ) -> FakeAgents {
    FakeAgents { _, message in
      switch message {
      case .hello:
        return .hello(
          AgentHello(
            version: ProtocolVersion.current, agentVersion: "0.1.0", host: host, fleet: FleetID("lab")!))
      case .report(let nonce):
        var report = FleetFolder.report("h1", nonce: nonce, drifted: drifted)
        report.committed = Committed(
          serial: Serial(1), manifest: Digest(of: []), content: Digest(of: []), at: FleetFolder.now)
        return .report(report)
      case .watch(let after, let seconds):
        #expect(seconds == 0)
        return changes(after)
      default: return nil
      }
    }
  }

  private static func change(_ sequence: UInt64) -> HostChange {
    HostChange(
      sequence: sequence, time: FleetFolder.now, bootID: "boot", cause: .others,
      families: PerFamily { _ in HostChange.Side(observed: Digest(of: []), differs: true) })
  }

  private static func changes(_ numbers: ClosedRange<UInt64>, omitted: Int = 0) -> AgentMessage {
    .changes(Changes(entries: numbers.map(change), omitted: omitted, last: numbers.upperBound))
  }

  private func sweep(
    _ agents: FakeAgents, known: KnownChanges?, wanted: Bool = true
  ) async throws -> Sweep.Answer {
    var answer: Sweep.Answer?
    let endpoint = HostEndpoint(name: "h1", addresses: [], user: "p")
    await Sweep(connector: agents, limits: ContactLimits(parallel: 1, timeout: patience)).ask(
      [(host: Self.host, fleet: FleetID("lab")!, endpoint: endpoint)], differences: .ignored,
      changes: wanted ? known.map { [Self.host: $0] } ?? [:] : nil
    ) { _, result in
      if case .answered(let said) = result { answer = said }
    }
    return try #require(answer)
  }

  /// What a host of that state is known to hold.
  private func known(_ last: UInt64, drifted: Bool = false) -> KnownChanges {
    KnownChanges(
      last: last, observed: FleetFolder.report("h1", drifted: drifted).families.map { $1.observed })
  }

  private func asked(_ agents: FakeAgents) -> [UInt64] {
    agents.state.withLock { state in
      state.heard.compactMap { if case .watch(let after, _) = $0.message { after } else { nil } }
    }
  }

  @Test func `a host that says the same as before and has not drifted is not asked who changed it`() async throws {
    let agents = Self.agents(drifted: false) { _ in Self.changes(1...1) }
    #expect(try await sweep(agents, known: known(4)).changes == nil)
    #expect(try await sweep(agents, known: nil).changes == nil)
    #expect(asked(agents).isEmpty)
  }

  @Test func `a host that drifted, or holds something else than before, is asked for what came after the last known`()
    async throws
  {
    let drifted = Self.agents(drifted: true) { Self.changes($0 + 1...$0 + 2) }
    let told = try #require(try await sweep(drifted, known: known(4, drifted: true)).changes)
    #expect(told.after == 4 && told.told.entries.map(\.sequence) == [5, 6] && told.told.last == 6)
    #expect(drifted.connections == 1 && asked(drifted) == [4])
    // One that was never asked, and one that came back.
    #expect(try await sweep(drifted, known: nil).changes?.after == 0)
    let restored = Self.agents(drifted: false) { Self.changes($0 + 1...$0 + 1) }
    #expect(try await sweep(restored, known: known(4, drifted: true)).changes?.told.last == 5)
    #expect(try await sweep(drifted, known: known(4), wanted: false).changes == nil)
  }

  @Test func `all that an agent remembers is taken, and no more than that`() async throws {
    let agents = Self.agents(drifted: true) { after in
      after < 130
        ? Self.changes(after + 1...min(after + 64, 130), omitted: after == 0 ? 7 : 0) : .changes(Changes(last: 130))
    }
    let told = try #require(try await sweep(agents, known: known(0)).changes?.told)
    #expect(told.entries.map(\.sequence) == Array(1...130) && told.omitted == 7)
    #expect(asked(agents) == [0, 64, 128])
    let endless = Self.agents(drifted: true) { Self.changes($0 + 1...$0 + 64) }
    #expect(try await sweep(endless, known: known(0)).changes?.told.entries.count == 9 * 64)
  }

  @Test func `an agent that lost its memory is asked from the beginning`() async throws {
    let agents = Self.agents(drifted: true) { after in
      after >= 3 ? .changes(Changes(last: 3)) : Self.changes(after + 1...3)
    }
    let told = try #require(try await sweep(agents, known: known(90)).changes)
    #expect(told.after == 0 && told.told.entries.map(\.sequence) == [1, 2, 3] && asked(agents) == [90, 0])
  }

  @Test func `the number of a change that is not told yet is not taken for known`() async throws {
    let agents = Self.agents(drifted: true) { _ in .changes(Changes(last: 9)) }
    let told = try #require(try await sweep(agents, known: known(4)).changes?.told)
    #expect(told.last == 4 && told.entries.isEmpty)
  }

  @Test func `an agent that does not know the question, or ends the conversation over it, reports all the same`()
    async throws
  {
    for answer in [AgentMessage.refused(Refusal(code: .unsupported, detail: "message type 12 is unknown")), nil] {
      let agents = Self.agents(drifted: true) { _ in answer }
      #expect(try await sweep(agents, known: known(4)).changes == nil)
      #expect(asked(agents) == [4])
    }
  }
}
