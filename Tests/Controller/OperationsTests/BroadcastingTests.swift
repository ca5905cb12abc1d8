import Core
import Foundation
import Inventory
import Release
import Rollout
import Store
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

private let isolate = ProfileName("isolate")!

/// Hosts by name; nobody is where a name has none.
private struct Hosts: HostConnector {
  let agents: [String: FakeAgents]
  let connecting: @Sendable () async -> Void

  func connect(to endpoint: HostEndpoint, limits: ConnectionLimits) async throws(TransportError) -> any HostConnection {
    await connecting()
    guard let host = agents[endpoint.name] else {
      throw TransportError(.unreachable, host: endpoint.name, "no route to host")
    }
    return try await host.connect(to: endpoint, limits: limits)
  }
}

private func host(
  _ name: String, _ answer: @escaping @Sendable (Int, OrderDelivery) -> AgentMessage?
) -> FakeAgents {
  FakeAgents { connection, message in
    switch message {
    case .hello:
      return .hello(
        AgentHello(
          version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID(name)!, fleet: FleetID("lab")!))
    case .order(let order): return answer(connection, order)
    case .stage, .data, .apply, .confirm, .cancel, .local, .report, .text, .observe, .watch, .goodbye: return nil
    }
  }
}

private func locked(by order: OrderDelivery, epoch: UInt64 = 1) -> AgentMessage {
  .obeyed(
    order.nonce,
    Obeyed(
      epoch: Epoch(epoch), result: .locked,
      lock: LockReport(
        epoch: Epoch(epoch), order: EpochFloor.digest(of: .lockdown, order.statement), profile: isolate,
        rank: LockRank(30)!, principals: ["anna"], reason: "-", phase: .locked, since: FleetFolder.now,
        secondsLeft: nil, serial: Serial(1), differences: PerFamily(ipv4: nil, ipv6: nil)), flowsCut: 3))
}

private struct Broadcast {
  let fleet: FleetFolder
  let order: SealedOrder

  /// - Parameter seconds: from now until the order must have arrived.
  init(_ hosts: [String], arrivesWithin seconds: Int64 = 3600) async throws {
    fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: hosts)
    let epoch = try await fleet.store.allocateEpoch()
    let now = fleet.workspace.clock.now()
    let text = try LockdownOrder(
      terms: OrderTerms(
        fleet: FleetID("lab")!, epoch: epoch, scope: LockScope(any: ["all"]), issued: now + (seconds - 3600),
        arriveBy: now + seconds), isDrill: false, profile: isolate, liftsAfter: nil)
    let stored = StoredOrder(
      epoch: epoch, kind: .lockdown, statement: text.encode(), threshold: 1, made: now, actor: "anna",
      signatures: [OrderSignature(principal: "anna", armored: Array("signature".utf8), added: now, actor: "anna")])
    let names = hosts.map { HostID($0)! }
    try await fleet.store.keep(stored, for: names)
    try await fleet.store.markSent(epoch, to: names, at: now)
    order = try SealedOrder(stored)
  }

  func send(
    over agents: [String: FakeAgents], for time: Duration = .milliseconds(1200), timeout: Duration = patience,
    earlier: [HostID: OrderClaim] = [:], told: @escaping @Sendable (OrderTally, [HostID]) -> Void = { _, _ in },
    connecting: @escaping @Sendable () async -> Void = {}
  ) async throws -> Broadcasting.Sent {
    try await Broadcasting(fleet.workspace, limits: ContactLimits(parallel: 256, timeout: timeout), time: time).send(
      order,
      to: try fleet.workspace.inventory().hosts.map {
        ($0, HostEndpoint(name: $0.id.description, addresses: [], user: "portcullis"))
      }, over: Hosts(agents: agents, connecting: connecting), earlier: earlier, store: fleet.store, told: told)
  }

  func outcomes() async throws -> [HostID: OrderOutcome] {
    Dictionary(uniqueKeysWithValues: try await fleet.store.outcomes(of: order.terms.epoch).map { ($0.host, $0) })
  }
}

struct BroadcastingTests {
  @Test func `what each host did is claimed and kept, and the greeting brings the order`() async throws {
    let broadcast = try await Broadcast(["h1", "h2", "h3"])
    let good = host("h1") { _, order in locked(by: order) }
    let bad = host("h2") { _, _ in .refused(Refusal(code: .profileMissing, detail: "release 1 has no profile isolate"))
    }
    let sent = try await broadcast.send(over: ["h1": good, "h2": bad])
    #expect(good.state.withLock { $0.writes } == 1)
    #expect(sent.tally.counts.verified == 1 && sent.tally.counts.refused == 1 && sent.tally.counts.unreachable == 1)
    #expect(sent.tally.exitCode(isDrill: false) == .someFailed)
    let kept = try await broadcast.outcomes()
    #expect(kept[HostID("h1")!]?.kind == .verified && kept[HostID("h1")!]?.flowsCut == 3)
    #expect(
      kept[HostID("h2")!]?.kind == .refused(code: "profileMissing", words: "release 1 has no profile isolate"))
    guard case .unreachable(let words)? = kept[HostID("h3")!]?.kind else { return #expect(Bool(false), "\(kept)") }
    #expect(words.contains("no route to host"))
  }

  @Test func `a lost answer is asked for again, with the same bytes`() async throws {
    let broadcast = try await Broadcast(["h1"])
    let texts = Mutex<[[UInt8]]>([])
    let agent = host("h1") { connection, order in
      texts.withLock { $0.append(order.statement + order.signatures.flatMap(\.self)) }
      return connection == 1 ? nil : locked(by: order)
    }
    let sent = try await broadcast.send(over: ["h1": agent], for: patience)
    #expect(sent.tally.counts.verified == 1 && agent.connections == 2)
    #expect(Set(texts.withLock(\.self)).count == 1)
  }

  @Test func `a host that hangs delays nobody, and an interruption loses nothing`() async throws {
    let broadcast = try await Broadcast(["h1", "h2"])
    let agent = host("h1") { _, order in locked(by: order) }
    let silent = host("h2") { _, _ in nil }
    silent.state.withLock { $0.ignoresOrders = true }
    let heard = AsyncStream<Void>.makeStream()
    let run = Task {
      try await broadcast.send(over: ["h1": agent, "h2": silent], for: patience) { tally, hosts in
        if tally.counts.verified == 1, hosts.contains(HostID("h1")!) { heard.continuation.yield() }
      }
    }
    var told = heard.stream.makeAsyncIterator()
    await told.next()
    #expect(try await broadcast.outcomes()[HostID("h1")!]?.kind == .verified)
    run.cancel()
    let sent = try await run.value
    #expect(sent.tally.exitCode(isDrill: false) == .interrupted)
    #expect(sent.tally.counts.verified == 1)
    let later = try await broadcast.send(
      over: ["h2": host("h2") { _, order in locked(by: order) }], earlier: sent.tally.claims)
    #expect(later.tally.claims[HostID("h2")!]?.obeyed?.result == .locked)
  }

  @Test func `hosts are brought the order also when nothing can be written down`() async throws {
    let broadcast = try await Broadcast(["h1"])
    try broadcast.fleet.store.close()
    let sent = try await broadcast.send(over: ["h1": host("h1") { _, order in locked(by: order) }])
    #expect(sent.tally.counts.verified == 1 && sent.recordingFailure != nil)
    #expect(sent.tally.exitCode(isDrill: false) == .error)
  }

  @Test func `an agent of another version has not heard it`() async throws {
    let broadcast = try await Broadcast(["h1"])
    let old = FakeAgents { _, message in
      guard case .hello = message else { return nil }
      return .hello(
        AgentHello(
          version: ProtocolVersion.current - 1, agentVersion: "0.0.9", host: HostID("h1")!, fleet: FleetID("lab")!))
    }
    let sent = try await broadcast.send(over: ["h1": old])
    guard case .unreachable(let why)? = sent.tally.claims[HostID("h1")!] else {
      return #expect(Bool(false), "\(sent.tally.claims)")
    }
    #expect(why.contains("portcullis enroll"))
  }

  @Test func `an agent that takes no more connections has not heard it, and is asked again`() async throws {
    let broadcast = try await Broadcast(["h1"])
    let free = host("h1") { _, order in locked(by: order) }
    let answer = free.state.withLock { $0.answer }
    let heard = Mutex<[OrderClaim]>([])
    // Busy until that was told: what follows within one window is told as one.
    let agent = FakeAgents { connection, message in
      heard.withLock { $0.isEmpty }
        ? .refused(Refusal(code: .busy, detail: "too many connections")) : answer(connection, message)
    }
    let sent = try await broadcast.send(over: ["h1": agent], for: patience) { tally, hosts in
      heard.withLock { $0 += hosts.compactMap { tally.claims[$0] } }
    }
    #expect(heard.withLock { $0.first } == .unreachable("too many connections"))
    #expect(sent.tally.counts.verified == 1)
  }

  @Test func `too late, only those that may have heard it are asked`() async throws {
    let broadcast = try await Broadcast(["h1", "h2"], arrivesWithin: -5)
    let agents = ["h1", "h2"].map { name in (name, host(name) { _, order in locked(by: order) }) }
    let sent = try await broadcast.send(
      over: Dictionary(uniqueKeysWithValues: agents), earlier: [HostID("h2")!: .unsure("it hung up")])
    #expect(agents[0].1.connections == 0 && agents[1].1.connections == 1)
    #expect(sent.tally.counts.notAsked == 1 && sent.tally.counts.verified == 1)
  }

  @Test func `whom a later order is for is not brought this one any more`() async throws {
    let broadcast = try await Broadcast(["h1", "h2"])
    try await SentOrders(folder: broadcast.fleet).make(.lift, "h1")
    let agents = ["h1", "h2"].map { name in (name, host(name) { _, order in locked(by: order) }) }
    let sent = try await broadcast.send(over: Dictionary(uniqueKeysWithValues: agents))
    #expect(sent.tally.claims[HostID("h1")!] == .overtaken(by: Epoch(2), mayHaveHeard: false))
    #expect(agents[0].1.connections == 0 && sent.tally.counts.verified == 1)
    #expect(try await broadcast.outcomes()[HostID("h1")!]?.kind == .unreachable(words: "order 2 was sent since"))
  }

  @Test func `a later order that is sent while a host is tried again ends that`() async throws {
    let broadcast = try await Broadcast(["h1"])
    let busy = FakeAgents { _, _ in .refused(Refusal(code: .busy, detail: "too many connections")) }
    let heard = AsyncStream<Void>.makeStream()
    let run = Task {
      try await broadcast.send(over: ["h1": busy], for: patience) { _, _ in heard.continuation.yield() }
    }
    var told = heard.stream.makeAsyncIterator()
    await told.next()
    try await SentOrders(folder: broadcast.fleet).make(.lift)
    #expect(try await run.value.tally.claims[HostID("h1")!] == .overtaken(by: Epoch(2), mayHaveHeard: false))
  }

  @Test func `a later order that is sent while it is being connected to a host keeps this one from it`() async throws {
    let broadcast = try await Broadcast(["h1"])
    let agent = host("h1") { _, order in locked(by: order) }
    let sent = try await broadcast.send(
      over: ["h1": agent],
      connecting: {
        _ = try? await SentOrders(folder: broadcast.fleet).make(.lift)
        try? await Task.sleep(for: .milliseconds(1100))
      })
    #expect(agent.state.withLock { $0.writes } == 0)
    #expect(sent.tally.claims[HostID("h1")!] == .overtaken(by: Epoch(2), mayHaveHeard: false))
  }

  @Test func `what is stored must be what it is called`() async throws {
    let broadcast = try await Broadcast(["h1"])
    var stored = try #require(try await broadcast.fleet.store.order(Epoch(1)))
    stored.kind = .drill
    #expect(throws: Failure.self) { try SealedOrder(stored) }
    stored.kind = .unlock
    #expect(throws: Failure.self) { try SealedOrder(stored) }
    stored.kind = .lockdown
    stored.epoch = Epoch(2)
    #expect(throws: Failure.self) { try SealedOrder(stored) }
  }
}
