import Audit
import Core
import Release
import Rollout
import Store
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

private let h001 = HostID("h001")!
private let lab = FleetID("lab")!
private let transaction = TransactionID(bytes: [UInt8](repeating: 1, count: 16))!
private let manifest = Array("manifest".utf8)
private let digest = Digest(of: manifest)
private let changeNonce = Nonce(bytes: [UInt8](repeating: 7, count: 32))!
private let hello = AgentMessage.hello(
  AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: h001, fleet: lab))

private func report(_ nonce: Nonce, committed: Digest?, pending: TransactionID? = nil) -> Report {
  Report(
    nonce: nonce, host: h001, fleet: lab, time: UTCTime("2026-11-21T00:00:00Z")!, bootID: "boot",
    agentVersion: "0.1.0", architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9",
    committed: committed.map {
      Committed(serial: Serial(8), manifest: $0, content: $0, at: UTCTime("2026-11-21T00:00:00Z")!)
    }, lastFailure: nil,
    pending: pending.map {
      PendingChange(transaction: $0, manifest: digest, serial: Serial(8), millisecondsLeft: 50_000, isManual: true)
    },
    families: PerFamily { _ in FamilyReport(expected: nil, observed: digest, save: digest, chains: []) },
    otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.9")
}

private func outcome(_ result: Outcome.Result) -> Outcome {
  Outcome(transaction: transaction, result: result, serial: Serial(8), manifest: digest, detail: "")
}

/// A host that applies, and commits what is confirmed on another connection.
private func goodHost() -> FakeAgents {
  let applier = Mutex(0)
  return FakeAgents { connection, message in
    switch message {
    case .hello: return hello
    case .stage(let transaction, _): return .staged(transaction, manifest: digest)
    case .apply(let transaction, let manifest, _):
      applier.withLock { $0 = connection }
      return .applied(
        AppliedChange(
          transaction: transaction, manifest: manifest, nonce: changeNonce, millisecondsLeft: 60_000,
          warnings: ["the knock was undecided"]))
    case .confirm(let confirmation):
      guard confirmation.nonce == changeNonce, applier.withLock({ $0 }) != connection else {
        return .refused(Refusal(code: .notConfirmable, detail: "same connection"))
      }
      return .outcome(outcome(.committed))
    case .report(let nonce): return .report(report(nonce, committed: digest))
    case .cancel: return .outcome(outcome(.reverted))
    case .data, .local, .order, .text, .observe, .watch, .goodbye: return nil
    }
  }
}

private func courier(_ agents: FakeAgents, _ terms: ConfirmationTerms = .standard) -> Courier {
  Courier(
    connector: agents, endpoint: HostEndpoint(name: "h001", addresses: [], user: "portcullis"),
    target: .init(
      host: h001, fleet: lab, transaction: transaction, manifest: digest,
      premise: Premise(committed: nil, released: [], content: digest), terms: terms),
    files: [.manifest: manifest], timeout: patience, source: { _ in nil })
}

struct DeliveringTests {
  @Test func `a change is confirmed over a connection of its own`() async {
    let agents = goodHost()
    let delivered = await courier(agents).deliver()
    #expect(delivered.result == .current(touched: true, warnings: ["the knock was undecided"]))
    #expect(delivered.report?.committed?.manifest == digest)
    #expect(agents.connections == 2)
    #expect(agents.connections { if case .apply = $0 { true } else { false } } == [1])
    #expect(agents.connections { if case .confirm = $0 { true } else { false } } == [2])
  }

  @Test func `the host is told the terms, and a manual change is left to a person`() async {
    let agents = goodHost()
    let terms = ConfirmationTerms(seconds: 300, isManual: true)
    let delivered = await courier(agents, terms).deliver()
    guard case .awaiting(let change) = delivered.result else {
      return #expect(Bool(false), "\(delivered.result)")
    }
    #expect(change.nonce == changeNonce)
    #expect(agents.connections == 1)
    #expect(agents.connections { if case .apply(_, _, terms) = $0 { true } else { false } } == [1])
    #expect(agents.connections { if case .confirm = $0 { true } else { false } }.isEmpty)
  }

  @Test func `a confirmation whose connection broke is asked about over another`() async {
    let host = goodHost()
    let answer = host.state.withLock { $0.answer }
    let agents = FakeAgents { connection, message in
      if connection == 2, case .confirm = message { return nil }
      return answer(connection, message)
    }
    let delivered = await courier(agents).deliver()
    #expect(delivered.result == .current(touched: true, warnings: ["the knock was undecided"]))
    #expect(agents.connections == 3)
  }

  @Test func `a host that committed what the plan knows nothing of is told nothing, and what it said is kept`() async {
    let host = goodHost()
    let answer = host.state.withLock { $0.answer }
    let others = Digest(of: "another controller's".utf8)
    let agents = FakeAgents { connection, message in
      if case .report(let nonce) = message { return .report(report(nonce, committed: others)) }
      return answer(connection, message)
    }
    let delivered = await courier(agents).deliver()
    guard case .stale = delivered.result else { return #expect(Bool(false), "\(delivered.result)") }
    #expect(delivered.report?.committed?.content == others)
    #expect(agents.connections { if case .stage = $0 { true } else { false } }.isEmpty)
  }

  @Test(arguments: [(HostID("other")!, lab), (h001, FleetID("other")!)]) func `no host says anything of another`(
    host: HostID, fleet: FleetID
  ) async {
    let good = goodHost()
    let answer = good.state.withLock { $0.answer }
    let agents = FakeAgents { connection, message in
      // The report that follows the confirmation, which is over a connection of its own.
      guard connection == 2, case .report(let nonce) = message else { return answer(connection, message) }
      var said = report(nonce, committed: digest)
      said.host = host
      said.fleet = fleet
      return .report(said)
    }
    let delivered = await courier(agents).deliver()
    #expect(delivered.result == .current(touched: true, warnings: ["the knock was undecided"]))
    #expect(delivered.report == nil)
  }

  @Test func `an interrupted run still confirms what a host applied`() async {
    let agents = goodHost()
    let seen = Mutex<DeliveryResult?>(nil)
    let run = Task {
      await FanOut.each([courier(agents)], parallel: 1) { courier in
        await Task { await courier.deliver() }.value
      } finished: { _, delivered in
        seen.withLock { $0 = delivered.result }
      }
    }
    run.cancel()
    await run.value
    // Cancelled before its turn it did nothing; cancelled after, it was finished.
    if agents.connections > 0 {
      guard case .current? = seen.withLock({ $0 }) else { return #expect(Bool(false)) }
    }
  }
}

struct SettlingTests {
  let change = AwaitingChange(
    host: h001, confirmation: ChangeConfirmation(transaction: transaction, manifest: digest, nonce: changeNonce),
    content: digest, serial: Serial(8), until: UTCTime("2026-11-21T00:01:00Z")!)
  let refusal = Refusal(code: .notConfirmable, detail: "too late")

  @Test func `only an outcome of this change and this manifest confirms it`() {
    #expect(Settling.result(of: outcome(.committed), for: change) == .current(touched: true))
    #expect(Settling.result(of: outcome(.reverted), for: change) == .reverted(""))
    var other = outcome(.committed)
    other.manifest = Digest(of: [])
    guard case .unknown = Settling.result(of: other, for: change) else { return #expect(Bool(false)) }
    var others = outcome(.committed)
    others.transaction = TransactionID(bytes: [UInt8](repeating: 2, count: 16))!
    guard case .unknown = Settling.result(of: others, for: change) else { return #expect(Bool(false)) }
  }

  @Test func `a refusal is believed as far as a report bears it out`() {
    let nonce = Nonce.random()
    let committed = Settling.result(of: refusal, for: change, report(nonce, committed: digest))
    #expect(committed == .current(touched: true))
    let over = Settling.result(of: refusal, for: change, report(nonce, committed: nil))
    #expect(over == .reverted("nothing waits on it any more: too late"))
    #expect(Settling.isOver(over))
    let waits = Settling.result(of: refusal, for: change, report(nonce, committed: nil, pending: transaction))
    #expect(!Settling.isOver(waits))
    #expect(!Settling.isOver(Settling.result(of: refusal, for: change, nil)))
  }

  @Test func `going back is what cancelling wants, and confirming does not`() {
    #expect(Settling.isWanted(.reverted(""), .cancel) && !Settling.isWanted(.reverted(""), .confirm))
    #expect(Settling.isWanted(.current(touched: true), .confirm))
    #expect(!Settling.isWanted(.current(touched: true), .cancel))
  }
}

struct SweepTests {
  @Test func `a host may send both sides of a large ruleset, and not more`() async {
    let agents = goodHost()
    var answers = 0
    await Sweep(connector: agents, limits: ContactLimits()).ask(
      [(host: h001, fleet: lab, endpoint: HostEndpoint(name: "h001", addresses: [], user: "portcullis"))],
      differences: .texts
    ) { _, result in
      if case .answered = result { answers += 1 }
    }
    #expect(answers == 1)
    #expect(agents.state.withLock { $0.receivedBytes } == 16 << 20)
  }
}

struct EvictionTests {
  @Test func `owners are named, and a slip is told`() throws {
    #expect(try Evictions.parse("docker,calico") == [.evict(.docker), .evict(.calico)])
    for (text, hint) in [("dokcer", "docker"), ("docker,", "known are"), ("", "known are")] {
      do {
        _ = try Evictions.parse(text)
        Issue.record("parsed \(text)")
      } catch {
        let chain = ErrorChain(error)
        #expect(chain.kind == .usage && chain.hints.contains { $0.contains(hint) }, "\(chain)")
      }
    }
  }
}
