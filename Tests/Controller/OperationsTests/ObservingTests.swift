import Core
import Inventory
import Operations
import Testing
import Transport
import Wire

struct ObservingTests {
  private static func ask(_ agents: FakeAgents, timeout: Duration = patience) async -> (
    answered: [Observing.Host], unreachable: [HostID: String]
  ) {
    let endpoint = HostEndpoint(name: "h001", addresses: [], user: "portcullis")
    return await Observing.ask(
      [(host: HostID("h001")!, fleet: FleetID("lab")!, endpoint: endpoint)], over: agents,
      ContactLimits(parallel: 1, timeout: timeout))
  }

  private static func hello(_ host: String = "h001") -> AgentMessage {
    .hello(
      AgentHello(
        version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID(host)!, fleet: FleetID("lab")!))
  }

  @Test func `a host says what it would have dropped`() async {
    let observations = Observations(
      observing: [.ipv4],
      entries: [.init(family: .ipv4, source: "192.0.2.1", proto: "tcp", port: "22", packets: 3, bytes: 9)], omitted: 2)
    let found = await Self.ask(
      FakeAgents { _, message in
        switch message {
        case .hello: Self.hello()
        case .observe: .observations(observations)
        default: nil
        }
      })
    #expect(found.unreachable.isEmpty && found.answered.map(\.observations) == [observations])
  }

  @Test func `hosts that are not enrolled are told apart, and where none is that is an error`() async throws {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2"])
    try fleet.makeSilent(["h1", "h2"])
    let hosts = try fleet.workspace.inventory().hosts
    let observing = Observing(fleet.workspace, limits: ContactLimits(parallel: 2, timeout: .seconds(10)))
    do {
      _ = try await observing.ask(hosts, store: fleet.store)
      Issue.record("nobody is enrolled")
    } catch {
      #expect(ErrorChain(error).message.contains("none of these hosts is enrolled") && ErrorChain(error).kind == .error)
    }
    try await fleet.enroll("h1")
    let observed = try await observing.ask(hosts, store: fleet.store)
    #expect(observed.notEnrolled.map(\.description) == ["h2"])
    #expect(observed.unreachable.keys.map(\.description) == ["h1"])
  }

  @Test func `another host, another answer and a refusal are told as such`() async {
    func why(_ hello: AgentMessage, _ answer: AgentMessage) async -> String? {
      await Self.ask(
        FakeAgents { _, message in
          if case .hello = message { return hello }
          return answer
        }
      ).unreachable[HostID("h001")!]
    }
    let nothing = AgentMessage.observations(Observations(observing: [], entries: []))
    #expect(await why(Self.hello("h002"), nothing)?.contains("h002") == true)
    #expect(await why(Self.hello(), .done("no"))?.isEmpty == false)
    let refusal = AgentMessage.refused(Refusal(code: .internalError, detail: "no\u{1b}"))
    #expect(await why(Self.hello(), refusal)?.contains("it refused: no\\u{1b}") == true)
  }
}
