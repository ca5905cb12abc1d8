import Core
import Testing
import Wire

@testable import Rollout

struct DeliveryMachineTests {
  /// A machine that was told to apply at second 2, and what it did on the way.
  func applying(
    _ limits: DeliveryMachine.Limits = .init(), _ terms: ConfirmationTerms = .standard
  ) -> DeliveryMachine {
    var target = target
    target.terms = terms
    var machine = DeliveryMachine(target: target, deadline: .seconds(60), limits: limits) { nonce(9) }
    #expect(machine.start() == [.connect, .wakeUp(at: .seconds(60))])
    #expect(machine.handle(.connected, at: .seconds(1)) == [.greet])
    #expect(machine.handle(.hello(hello), at: .seconds(1)) == [.askReport(nonce(9))])
    #expect(machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(1)) == [.stage])
    #expect(!machine.mayHaveChangedHost)
    let actions = machine.handle(.staged(ours, manifest: wanted), at: .seconds(2))
    #expect(actions.first == .apply && actions.count == 2)
    #expect(machine.mayHaveChangedHost)
    return machine
  }

  /// A machine whose answer was lost at second 3, and which is connected again and asks.
  func asking() -> DeliveryMachine {
    var machine = applying()
    #expect(
      machine.handle(.transportFailed("reset"), at: .seconds(3)) == [
        .disconnect, .wakeUp(at: .seconds(3) + .milliseconds(200)),
      ])
    #expect(machine.handle(.tick, at: .seconds(3) + .milliseconds(200)).first == .connect)
    #expect(machine.handle(.connected, at: .seconds(4)) == [.greet])
    #expect(machine.handle(.hello(hello), at: .seconds(4)).first == .askReport(nonce(9)))
    return machine
  }

  static func change(
    _ transaction: TransactionID = ours, manifest: Digest = wanted, left: UInt32 = 60_000, warnings: [String] = []
  ) -> AppliedChange {
    AppliedChange(
      transaction: transaction, manifest: manifest, nonce: nonce(7), millisecondsLeft: left, warnings: warnings)
  }
  static let confirmation = ChangeConfirmation(transaction: ours, manifest: wanted, nonce: nonce(7))

  /// A machine that learnt at second 3 that the host waits, and is on its way back to it.
  func probing(left: UInt32 = 60_000, warnings: [String] = []) -> DeliveryMachine {
    var machine = applying()
    let actions = machine.handle(.applied(Self.change(left: left, warnings: warnings)), at: .seconds(3))
    #expect(actions.first == .connect)
    return machine
  }

  /// A machine that sent its confirmation at second 4.
  func confirming(warnings: [String] = []) -> DeliveryMachine {
    var machine = probing(warnings: warnings)
    #expect(machine.handle(.connected, at: .seconds(4)) == [.greet])
    #expect(machine.handle(.hello(hello), at: .seconds(4)).first == .confirm(Self.confirmation))
    return machine
  }

  @Test func `an applied change is confirmed over a new connection, and only then current`() {
    var machine = confirming(warnings: ["the knock was undecided\u{1b}[2J"])
    #expect(machine.result == nil)
    let end = machine.handle(.outcome(outcome(.committed)), at: .seconds(5))
    let words = "the knock was undecided\\u{1b}[2J"
    #expect(end == [.disconnect, .finish(.current(touched: true, warnings: [words]))])
  }

  @Test func `an outcome is not believed before a confirmation can have been sent`() {
    var machine = probing()
    #expect(machine.handle(.outcome(outcome(.committed)), at: .seconds(4)).isEmpty)
    #expect(machine.result == nil)
  }

  @Test func `a change of other bytes is never confirmed`() {
    var machine = applying()
    let actions = machine.handle(.applied(Self.change(manifest: older)), at: .seconds(3))
    guard case .finish(.unknown)? = actions.last else { return #expect(Bool(false), "\(actions)") }
    #expect(!actions.contains(.connect))
    var other = applying()
    #expect(other.handle(.applied(Self.change(theirs)), at: .seconds(3)).isEmpty)
  }

  @Test func `probes back off, and stop before the host may go back`() {
    var machine = probing()
    var now: Duration = .seconds(3)
    var pauses: [Duration] = []
    while true {
      let actions = machine.handle(.transportFailed("no route"), at: now)
      guard case .wakeUp(let moment)? = actions.last else { return #expect(Bool(false), "\(actions)") }
      if moment > .seconds(63) {
        // 3 + 60 is when the host goes back at the latest; only then it is asked how that ended.
        #expect(moment == .seconds(65))
        break
      }
      pauses.append(moment - now)
      now = moment
      #expect(now < .seconds(58))
      #expect(machine.handle(.tick, at: now).first == .connect)
    }
    #expect(
      pauses.prefix(6) == [.milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(4)])
    #expect(machine.handle(.tick, at: .seconds(65)).first == .connect)
    _ = machine.handle(.connected, at: .seconds(65))
    #expect(machine.handle(.hello(hello), at: .seconds(65)).first == .askReport(nonce(9)))
    #expect(machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(65)).first == .stage)
    _ = machine.handle(.staged(ours, manifest: wanted), at: .seconds(65))
    let end = machine.handle(.outcome(outcome(.reverted)), at: .seconds(66))
    #expect(
      end.last
        == .finish(
          .reverted(
            "no new connection could be made within 60 s, so the host went back (no route); it says: why")))
  }

  @Test(arguments: [(UInt32(60_000), 3), (15_000, 2), (600_000, 4)])
  func `a connection that hangs leaves time for another`(left: UInt32, atLeast: Int) {
    var machine = probing(left: left)
    var probes = 1
    var now: Duration = .seconds(3)
    // Nothing ever answers: only time passes.
    var alarm = now + .seconds(1)
    while now < .seconds(3) + .milliseconds(Int(min(left, 60_000))) {
      let actions = machine.handle(.tick, at: alarm)
      now = alarm
      probes += actions.contains(.connect) ? 1 : 0
      guard case .wakeUp(let moment)? = actions.last else { break }
      alarm = moment
    }
    #expect(probes > atLeast, "the last is the question how it ended")
  }

  @Test func `a host cannot keep us longer than was agreed`() {
    var machine = applying()
    _ = machine.handle(.applied(Self.change(left: .max)), at: .seconds(3))
    #expect(machine.latestEnd == .seconds(60 + 60 + 30))
    #expect(
      machine.handle(.tick, at: machine.latestEnd).last
        == .finish(.unknown("the deadline passed: the change was not confirmed yet")))
  }

  @Test func `a lost answer to the confirmation is asked for, and confirmed again if the change still waits`() {
    var machine = confirming()
    #expect(machine.handle(.transportFailed("reset"), at: .seconds(5)).first == .disconnect)
    #expect(machine.handle(.tick, at: .seconds(5) + .milliseconds(200)).first == .connect)
    _ = machine.handle(.connected, at: .seconds(6))
    #expect(machine.handle(.hello(hello), at: .seconds(6)).first == .askReport(nonce(9)))
    let pending = PendingChange(
      transaction: ours, manifest: wanted, serial: Serial(8), millisecondsLeft: 50_000, isManual: false)
    let report = makeReport(nonce(9), manifest: older, pending: pending)
    #expect(machine.handle(.report(report), at: .seconds(6)).first == .confirm(Self.confirmation))
    #expect(machine.handle(.outcome(outcome(.committed)), at: .seconds(7)).last == .finish(.current(touched: true)))
  }

  @Test func `a lost answer to the confirmation is found in a report`() {
    var machine = confirming()
    _ = machine.handle(.transportFailed("reset"), at: .seconds(5))
    _ = machine.handle(.tick, at: .seconds(5) + .milliseconds(200))
    _ = machine.handle(.connected, at: .seconds(6))
    _ = machine.handle(.hello(hello), at: .seconds(6))
    let end = machine.handle(.report(makeReport(nonce(9), manifest: wanted)), at: .seconds(6))
    #expect(end.last == .finish(.current(touched: true)))
  }

  @Test func `a change whose nonce was lost is asked for again before it is confirmed`() {
    var machine = asking()
    let pending = PendingChange(
      transaction: ours, manifest: wanted, serial: Serial(8), millisecondsLeft: 50_000, isManual: false)
    #expect(
      machine.handle(.report(makeReport(nonce(9), manifest: older, pending: pending)), at: .seconds(5)).first == .stage)
    #expect(machine.handle(.staged(ours, manifest: wanted), at: .seconds(5)).first == .apply)
    #expect(machine.handle(.applied(Self.change(left: 50_000)), at: .seconds(6)).first == .connect)
  }

  @Test func `a refused confirmation is not repeated on the same connection`() {
    var machine = confirming()
    let actions = machine.handle(.refused(Refusal(code: .notConfirmable, detail: "same connection")), at: .seconds(5))
    #expect(actions.first == .disconnect)
    #expect(machine.result == nil)
  }

  @Test func `an answer that the new rules swallowed is looked for within the window`() {
    var machine = applying()
    let actions = machine.handle(.tick, at: .seconds(22))
    #expect(actions.first == .disconnect)
    #expect(machine.result == nil)
  }

  @Test func `a change that a person confirms ends as awaiting`() {
    var machine = applying(.init(), ConfirmationTerms(seconds: 600, isManual: true))
    let change = Self.change(left: 599_000)
    #expect(machine.handle(.applied(change), at: .seconds(3)) == [.disconnect, .finish(.awaiting(change))])
    #expect(machine.mayHaveChangedHost)
  }

  @Test func `confirming is not begun on another host`() {
    var machine = probing()
    _ = machine.handle(.connected, at: .seconds(4))
    let other = AgentHello(
      version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID("h002")!, fleet: fleet)
    let actions = machine.handle(.hello(other), at: .seconds(4))
    #expect(actions.first == .disconnect)
    #expect(machine.result == nil)
  }

  @Test(arguments: [
    (Outcome.Result.committed, DeliveryResult.current(touched: true, warnings: [])),
    (.unchanged, .current(touched: false)),
    (.reverted, .reverted("why")), (.failed, .failed("why", nil)),
  ])
  func `an outcome ends the delivery`(result: Outcome.Result, expected: DeliveryResult) {
    var machine = applying()
    #expect(machine.handle(.outcome(outcome(result)), at: .seconds(5)) == [.disconnect, .finish(expected)])
    #expect(machine.result == expected)
    // Over is over.
    #expect(machine.handle(.outcome(outcome(.committed)), at: .seconds(6)).isEmpty)
    #expect(machine.handle(.transportFailed("closed"), at: .seconds(6)).isEmpty)
    #expect(machine.cancel().isEmpty)
  }

  @Test(
    arguments: [
      (older, older, nil), (older, nil, nil), (older, wanted, nil), (older, lastReleased, nil), (nil, nil, nil),
      (nil, wanted, nil),
      (older, theirBundle, "it has committed release 7, which this plan, made over release 7, knows nothing of"),
      (
        nil, older,
        "it has committed release 7, which this plan, made for a host of which no release was known, knows nothing of"
      ),
    ] as [(planned: Digest?, found: Digest?, words: String?)])
  func `a host that committed something else than the plan was made against gets nothing`(
    planned: Digest?, found: Digest?, words: String?
  ) {
    var target = target
    target.premise = Premise(
      committed: makeReport(nonce(0), manifest: planned).committed, released: [lastReleased], content: wanted)
    var machine = DeliveryMachine(target: target, deadline: .seconds(60)) { nonce(9) }
    _ = machine.start()
    _ = machine.handle(.connected, at: .seconds(1))
    #expect(machine.handle(.hello(hello), at: .seconds(1)) == [.askReport(nonce(9))])
    // Another question's answer is none.
    #expect(machine.handle(.report(makeReport(nonce(8), manifest: theirBundle)), at: .seconds(1)).isEmpty)
    let actions = machine.handle(.report(makeReport(nonce(9), manifest: found)), at: .seconds(2))
    #expect(actions == (words.map { [.disconnect, .finish(.stale($0))] } ?? [.stage]))
    #expect(!machine.mayHaveChangedHost)
  }

  @Test func `a host that is too busy to say what it has, or is lost before, was asked for nothing`() {
    for event in [
      DeliveryMachine.Event.refused(Refusal(code: .busy, detail: "another apply")), .transportFailed("reset"),
    ] {
      var machine = DeliveryMachine(target: target, deadline: .seconds(60)) { nonce(9) }
      _ = machine.start()
      _ = machine.handle(.connected, at: .seconds(1))
      _ = machine.handle(.hello(hello), at: .seconds(1))
      #expect(machine.handle(event, at: .seconds(2)) == [.disconnect, .wakeUp(at: .seconds(2.5))])
      #expect(machine.handle(.tick, at: .seconds(2.5)).first == .connect)
      #expect(!machine.mayHaveChangedHost)
    }
  }

  @Test func `an outcome of another transaction says nothing`() {
    var machine = applying()
    #expect(machine.handle(.outcome(outcome(.committed, transaction: theirs)), at: .seconds(5)).isEmpty)
    #expect(machine.result == nil)
  }

  @Test func `a commit of another manifest is not ours`() {
    var machine = applying()
    _ = machine.handle(.outcome(outcome(.committed, manifest: older)), at: .seconds(5))
    guard case .unknown = machine.result else { return #expect(Bool(false), "\(String(describing: machine.result))") }
  }

  @Test func `a lost answer is asked for, and found in a report`() {
    var machine = asking()
    let actions = machine.handle(.report(makeReport(nonce(9), manifest: wanted)), at: .seconds(5))
    #expect(actions == [.disconnect, .finish(.current(touched: true))])
  }

  @Test func `a report that does not show the bundle sends the same transaction again`() {
    var machine = asking()
    #expect(machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(5)).first == .stage)
    #expect(machine.handle(.staged(ours, manifest: wanted), at: .seconds(5)).first == .apply)
    #expect(machine.handle(.outcome(outcome(.reverted)), at: .seconds(6)).last == .finish(.reverted("why")))
  }

  @Test func `a report on another question does not count`() {
    var machine = asking()
    #expect(machine.handle(.report(makeReport(nonce(8), manifest: wanted)), at: .seconds(5)).isEmpty)
    var before = applying()
    #expect(before.handle(.report(makeReport(nonce(9), manifest: wanted)), at: .seconds(5)).isEmpty)
  }

  @Test func `a host that cannot be reached is unreachable after the attempts allowed`() {
    var machine = DeliveryMachine(target: target, deadline: .seconds(60), limits: .init(connectionAttempts: 2))
    _ = machine.start()
    let first = machine.handle(.transportFailed("refused"), at: .seconds(1))
    #expect(first == [.disconnect, .wakeUp(at: .seconds(1.5))])
    #expect(machine.handle(.connected, at: .seconds(1.2)).isEmpty)
    #expect(machine.handle(.tick, at: .seconds(1.2)) == [.wakeUp(at: .seconds(1.5))])
    #expect(machine.handle(.tick, at: .seconds(1.5)).first == .connect)
    #expect(machine.handle(.transportFailed("refused"), at: .seconds(2)).last == .finish(.unreachable("refused")))
  }

  @Test(arguments: [
    AgentHello(version: 99, agentVersion: "9", host: h001, fleet: fleet),
    AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID("h002")!, fleet: fleet),
    AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: h001, fleet: FleetID("prod")!),
  ])
  func `another host, fleet or protocol gets nothing`(other: AgentHello) {
    var machine = DeliveryMachine(target: target, deadline: .seconds(60))
    _ = machine.start()
    _ = machine.handle(.connected, at: .seconds(1))
    let actions = machine.handle(.hello(other), at: .seconds(1))
    guard case .finish(.failed(_, nil))? = actions.last else { return #expect(Bool(false), "\(actions)") }
    #expect(!actions.contains(.stage))
  }

  @Test func `a refusal changes nothing and says why`() {
    var machine = applying()
    let refusal = Refusal(code: .rulesDoNotLoad, detail: "line 3\u{1b}[2J")
    #expect(
      machine.handle(.refused(refusal), at: .seconds(3)).last == .finish(.failed("line 3\\u{1b}[2J", .rulesDoNotLoad)))
    #expect(!machine.mayHaveChangedHost)
  }

  @Test func `a busy host is tried again, and fails as busy at the deadline`() {
    var machine = applying()
    let busy = Refusal(code: .busy, detail: "another apply")
    #expect(machine.handle(.refused(busy), at: .seconds(3)) == [.disconnect, .wakeUp(at: .seconds(3.5))])
    #expect(!machine.mayHaveChangedHost)
    #expect(machine.handle(.tick, at: .seconds(3.5)).first == .connect)
    #expect(
      machine.handle(.tick, at: .seconds(150)).last == .finish(.failed("the deadline passed: another apply", .busy)))
  }

  @Test func `a refusal after a lost answer is believed only after a look at the host`() {
    for (manifest, result) in [
      (wanted, DeliveryResult.current(touched: true)), (older, .unknown("reset; sent again, and refused: full")),
    ] {
      var machine = asking()
      _ = machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(5))
      let refusal = Refusal(code: .diskFull, detail: "full")
      #expect(machine.handle(.refused(refusal), at: .seconds(6)).first == .askReport(nonce(9)))
      let end = machine.handle(.report(makeReport(nonce(9), manifest: manifest)), at: .seconds(7))
      #expect(end.last == .finish(result))
    }
  }

  @Test func `an interrupted run leaves a host unknown only if it was told to apply`() {
    var early = DeliveryMachine(target: target, deadline: .seconds(60))
    _ = early.start()
    #expect(early.cancel().last == .finish(.unreachable("the run was interrupted")))
    var late = applying()
    #expect(late.cancel().last == .finish(.unknown("the run was interrupted while the host was applying")))
  }

  @Test func `an answer that is here is taken after the deadline too`() {
    var machine = applying()
    #expect(machine.handle(.outcome(outcome(.committed)), at: .seconds(151)).last == .finish(.current(touched: true)))
    var late = DeliveryMachine(target: target, deadline: .seconds(60))
    _ = late.start()
    _ = late.handle(.connected, at: .seconds(59))
    #expect(late.handle(.hello(hello), at: .seconds(60)).last == .finish(.unreachable("the deadline passed")))
  }

  @Test func `an early alarm is set again`() {
    var machine = applying()
    #expect(machine.handle(.tick, at: .seconds(10)) == [.wakeUp(at: .seconds(22))])
  }
}

struct RunTallyTests {
  @Test func `one is worse than five, then three, four and two`() {
    var tally = RunTally()
    #expect(tally.exitCode == .done)
    tally.count(.current(touched: true))
    #expect(tally.exitCode == .done)
    tally.findings = 1
    #expect(tally.exitCode == .finding)
    tally.count(.unreachable("no route"))
    #expect(tally.exitCode == .someUnreachable)
    tally.count(.reverted("why"))
    #expect(tally.exitCode == .someFailed)
    tally.count(.failed("it would shut ssh", .lockout))
    #expect(tally.failed == 0)
    #expect(tally.exitCode == .refused)
    tally.count(.stale("release 9"))
    #expect(tally.refusals == 2 && tally.exitCode == .refused)
    tally.errors = 1
    #expect(tally.exitCode == .error)
    tally.interrupted = true
    #expect(tally.exitCode == .interrupted)
  }

  @Test(arguments: Refusal.Code.allCases)
  func `only what a person may override is a guard's refusal`(code: Refusal.Code) {
    let guards: Set<Refusal.Code> = [.lockout, .foreignAccept, .foreignChains]
    #expect(DeliveryResult.failed("why", code).isRefusedByGuard == guards.contains(code))
    var tally = RunTally()
    tally.count(.failed("why", code))
    #expect(tally.exitCode == (guards.contains(code) ? .refused : .someFailed))
  }

  @Test func `a change that waits for a person is no failure`() {
    var tally = RunTally()
    tally.count(.awaiting(DeliveryMachineTests.change()))
    #expect(tally.exitCode == .done && tally.awaiting == 1)
  }

  @Test func `the numbers are those that scripts rely on`() {
    #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 64, 130])
  }
}
