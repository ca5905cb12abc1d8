import Apply
import Core
import Release
import Testing
import Wire

/// A change stays only if whoever manages the host says so, about this change, over a new connection, in time.
@Suite struct ConfirmTests {
  let host: FakeHost
  let agent: HostAgent
  let before: PerFamily<String>
  let transaction = TransactionID.random()
  let connection: ManagementConnection
  let change: AppliedChange

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
    try host.apply(agent, Samples.old)
    before = host.canonical
    connection = host.connection(port: 40_000)
    change = try Self.begin(agent, Samples.new, transaction, from: connection)
  }

  static func begin(
    _ agent: HostAgent, _ bundle: Result<Samples.Bundle, any Error>, _ transaction: TransactionID,
    from connection: ManagementConnection, terms: ConfirmationTerms = .standard
  ) throws -> AppliedChange {
    let bundle = try bundle.get()
    let answer = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: terms, from: connection)
    guard case .applied(let change) = answer else { throw Reason("it did not wait: \(answer)") }
    return change
  }

  var right: ChangeConfirmation {
    ChangeConfirmation(transaction: transaction, manifest: change.manifest, nonce: change.nonce)
  }

  @Test func `nothing is committed before the confirmation, and everything after it`() throws {
    #expect(try host.ledger().committed?.accepted.serial == Serial(7))
    #expect(try host.ledger().open?.phase == .applied)
    #expect(host.promise.armed?.deadline == agent.confirmBy)
    #expect(change.millisecondsLeft > 59_000 && change.millisecondsLeft <= 60_000)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.pending?.transaction == transaction)
    #expect(report.pending?.serial == Serial(8))
    #expect(report.committed?.serial == Serial(7))
    #expect(try agent.confirm(right, from: host.connection()).result == .committed)
    #expect(try host.ledger().committed?.accepted.serial == Serial(8))
    #expect(agent.confirmBy == nil)
    #expect(host.promise.armed == nil)
    #expect(try agent.report(.random(), managementSource: "").pending == nil)
  }

  @Test(arguments: ["transaction", "manifest", "nonce"]) func `another change's confirmation does not count`(
    wrong: String
  ) throws {
    let confirmation = ChangeConfirmation(
      transaction: wrong == "transaction" ? .random() : transaction,
      manifest: wrong == "manifest" ? Digest(of: [1]) : change.manifest,
      nonce: wrong == "nonce" ? .random() : change.nonce)
    let refusal = #expect(throws: Refusal.self) { try agent.confirm(confirmation, from: host.connection()) }
    #expect(refusal?.code == .notConfirmable)
    #expect(try host.ledger().committed?.accepted.serial == Serial(7))
    #expect(try agent.confirm(right, from: host.connection()).result == .committed)
  }

  @Test func `the connection of the apply, and any that was open by then, do not count`() throws {
    let later = host.boot.now() + .seconds(1)
    let same = ManagementConnection(ends: connection.ends, opened: later)
    let older = ManagementConnection(ends: FakeHost.ends(40_001), opened: connection.opened)
    // Neither sshd nor root says where it comes from.
    let unknown = ManagementConnection(ends: nil, opened: later)
    for stale in [connection, same, older, unknown] {
      let refusal = #expect(throws: Refusal.self) { try agent.confirm(right, from: stale) }
      #expect(refusal?.code == .notConfirmable)
    }
    #expect(try host.ledger().committed?.accepted.serial == Serial(7))
    // Root at the console needs no way in.
    #expect(try agent.confirm(right, from: .console(opened: later)).result == .committed)
  }

  @Test func `a new channel of a TCP connection that was open by then does not count`() throws {
    try #require(try agent.cancel(transaction).result == .reverted)
    host.facts.connections = .success([FakeHost.ends(40_001)])
    let next = TransactionID.random()
    let change = try Self.begin(agent, Samples.new, next, from: host.connection())
    let right = ChangeConfirmation(transaction: next, manifest: change.manifest, nonce: change.nonce)
    let refusal = #expect(throws: Refusal.self) { try agent.confirm(right, from: host.connection(port: 40_001)) }
    #expect(refusal?.code == .notConfirmable)
    #expect(try agent.confirm(right, from: host.connection(port: 40_002)).result == .committed)
  }

  @Test func `where sshd does not know who is connected, a new connection is one that was not seen before`() throws {
    try #require(try agent.cancel(transaction).result == .reverted)
    func nowhere() -> ManagementConnection { ManagementConnection(ends: nil, opened: host.connection().opened) }
    let (next, first) = (TransactionID.random(), nowhere())
    let change = try Self.begin(agent, Samples.new, next, from: first)
    let right = ChangeConfirmation(transaction: next, manifest: change.manifest, nonce: change.nonce)
    #expect(throws: Refusal.self) { try agent.confirm(right, from: first) }
    #expect(try agent.confirm(right, from: nowhere()).result == .committed)
  }

  @Test func `a confirmation over a port of which nothing was known does not count`() throws {
    let elsewhere = ConnectionEnds(
      source: "192.0.2.7", sourcePort: 40_001, destination: "192.0.2.1", destinationPort: 2222)
    #expect(throws: Refusal.self) {
      try agent.confirm(right, from: ManagementConnection(ends: elsewhere, opened: host.connection().opened))
    }
    #expect(try agent.confirm(right, from: host.connection()).result == .committed)
  }

  @Test func `a host that cannot tell who is connected refuses before anything is changed`() throws {
    try #require(try agent.cancel(transaction).result == .reverted)
    host.facts.connections = .failure(Reason("no /proc"))
    let loads = host.firewall.loads
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
    #expect(refusal?.detail == "see who is connected: no /proc")
    #expect(host.firewall.loads == loads && host.canonical == before)
  }

  @Test func `one that cannot tell any more once the rules are loaded takes them back`() throws {
    try #require(try agent.cancel(transaction).result == .reverted)
    host.firewall.beforeLoad = { [host] _, _ in host.facts.connections = .failure(Reason("no /proc")) }
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted)
    #expect(outcome.detail.contains("no /proc"))
    #expect(host.canonical == before)
  }

  @Test func `at the deadline it is too late, whoever notices first`() throws {
    host.pass(.seconds(60))
    let outcome = try agent.confirm(right, from: host.connection())
    #expect(outcome.result == .reverted)
    #expect(outcome.detail == "nobody confirmed it over a new connection before the deadline")
    #expect(host.canonical == before)
    #expect(host.promise.armed == nil)
  }

  @Test func `the last moment before the deadline is not too late`() throws {
    let late = host.connection()
    host.boot.time = BootTime(nanoseconds: agent.confirmBy!.nanoseconds - 1)
    #expect(try agent.confirm(right, from: late).result == .committed)
  }

  @Test func `the deadline takes both families back, and the answer is kept`() throws {
    host.pass(.seconds(60))
    agent.expire(because: "the deadline passed")
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
    #expect(try agent.confirm(right, from: host.connection()).result == .reverted)
    let stranger = ChangeConfirmation(transaction: transaction, manifest: change.manifest, nonce: .random())
    #expect(throws: Refusal.self) { try agent.confirm(stranger, from: host.connection()) }
    // A new process, with the answer from the journal.
    let next = try host.recoveredAgent()
    #expect(try next.confirm(right, from: host.connection()).detail == "the deadline passed")
    #expect(throws: Refusal.self) { try next.confirm(stranger, from: host.connection()) }
  }

  @Test func `a repeated confirmation gets the same answer`() throws {
    let first = try agent.confirm(right, from: host.connection())
    #expect(try agent.confirm(right, from: connection) == first)
    #expect(try host.recoveredAgent().confirm(right, from: connection) == first)
  }

  @Test func `a repeated apply gets the same nonce and the time that is left`() throws {
    host.pass(.seconds(20))
    let loads = host.firewall.loads
    let again = try Self.begin(agent, Samples.new, transaction, from: host.connection())
    #expect(again.nonce == change.nonce)
    #expect(again.millisecondsLeft > 39_000 && again.millisecondsLeft < 40_000)
    #expect(host.firewall.loads == loads)
    // The connection it came over first is still the one that does not count.
    #expect(throws: Refusal.self) { try agent.confirm(right, from: connection) }
  }

  @Test func `another apply has to wait, and is told for how long`() throws {
    host.pass(.seconds(20))
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.oldAgain) }
    #expect(refusal?.code == .busy)
    #expect(refusal?.detail.contains("another 40 s") == true)
    host.pass(.seconds(41))
    #expect(try host.apply(agent, Samples.oldAgain).result == .unchanged)
    #expect(host.canonical == before)
  }

  @Test func `a change is cancelled at once, and only the one that was named`() throws {
    #expect(throws: Refusal.self) { try agent.cancel(.random()) }
    #expect(try host.ledger().open != nil)
    let outcome = try agent.cancel(transaction)
    #expect(outcome.result == .reverted)
    #expect(host.canonical == before)
    #expect(try agent.cancel(transaction) == outcome)
    #expect(try agent.confirm(right, from: host.connection()) == outcome)
  }

  @Test(arguments: [false, true]) func `a restart before the confirmation goes back, whatever boot it is`(
    isBoot: Bool
  ) throws {
    if isBoot {
      host.cutPower()
      #expect(try host.agent().restore() == .committed(Serial(7)))
    }
    let next = try host.recoveredAgent()
    #expect(host.canonical == before)
    #expect(next.confirmBy == nil)
    #expect(try next.confirm(right, from: host.connection()).result == .reverted)
  }

  @Test func `nobody who promises, no change`() throws {
    _ = try agent.cancel(transaction)
    host.faults.restart()
    let loads = host.firewall.loads
    host.faults.breaks = "arm"
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
    #expect(refusal?.detail.contains("nobody promises") == true)
    #expect(host.firewall.loads == loads)
    #expect(try host.ledger().open == nil)
    host.faults.breaks = nil
    #expect(try host.apply(agent, Samples.new).result == .committed)
  }

  @Test func `the promise is asked for after ARMED is durable and before anything is loaded`() throws {
    _ = try agent.cancel(transaction)
    host.faults.restart()
    try host.apply(agent, Samples.new)
    let log = host.faults.log
    let arm = try #require(log.firstIndex(of: "arm"))
    let load = try #require(log.firstIndex(of: "load ipv6"))
    #expect(arm < load)
    // STAGED, ARMED | APPLYING
    #expect(log[..<arm].count { $0 == "sync journal" } == 2)
    #expect(log[arm..<load].count { $0 == "sync journal" } == 1)
  }

  @Test func `programs get no more time than is left until the deadline, but the way back does`() throws {
    _ = try agent.cancel(transaction)
    var first = true
    let from = host.firewall.limits.count
    host.firewall.beforeLoad = { [host] _, _ in
      if first { host.pass(.milliseconds(14_500)) }
      first = false
    }
    let bundle = try Samples.new.get()
    let answer = try agent.apply(
      bundle.files, transaction: .random(), manifest: bundle.manifest,
      terms: ConfirmationTerms(seconds: 15, isManual: false), from: host.connection())
    guard case .applied = answer else { throw Reason("it did not wait: \(answer)") }
    #expect(host.firewall.limits[from...].map { $0 } == [.seconds(15), .seconds(1)])
    host.pass(.seconds(15))
    agent.expire(because: "late")
    #expect(host.firewall.limits[(from + 2)...].allSatisfy { $0 == .seconds(30) })
    #expect(host.canonical == before)
  }

  @Test func `a family that never changed needs no load to go back`() throws {
    _ = try agent.cancel(transaction)
    host.faults.breaks = "load ipv6"
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted, "\(outcome.detail)")
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
  }

  @Test func `a change that nothing can take back is not over, and the next one who can takes it back`() throws {
    // The programs of one family fail from now on, the disk works.
    host.faults.breaks = "load ipv4"
    host.pass(.seconds(61))
    let end = try #require(agent.expire(because: "late")).get()
    #expect(end.result == .failed)
    #expect(host.canonical != before)
    let ledger = try host.ledger()
    #expect(ledger.open?.id == transaction)
    #expect(ledger.degraded == nil, "the safe policy is not loaded")
    #expect(host.promise.armed?.transaction == transaction, "whoever promised must still be bound")
    #expect(throws: (any Error).self) { try host.recoveredAgent() }
    #expect(throws: Refusal.self) { try host.apply(agent, Samples.oldAgain) }
    host.faults.breaks = nil
    _ = try host.recoveredAgent()
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
    #expect(try host.ledger().outcome(of: transaction)?.result == .reverted)
  }

  @Test func `a load that outlasts the deadline is taken back without waiting`() throws {
    _ = try agent.cancel(transaction)
    host.firewall.beforeLoad = { [host] _, _ in host.pass(.seconds(61)) }
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted)
    #expect(outcome.detail.contains("deadline"))
    #expect(host.canonical == before)
  }
}
