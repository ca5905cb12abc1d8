import Core
import Testing
import Wire

@testable import Rollout

struct DeliveryMachineTests {
  /// A machine that was told to apply, and what it did on the way.
  func applying(_ limits: DeliveryMachine.Limits = .init()) -> DeliveryMachine {
    var machine = DeliveryMachine(target: target, deadline: .seconds(60), limits: limits) { nonce(9) }
    #expect(machine.start() == [.connect, .wakeUp(at: .seconds(60))])
    #expect(machine.handle(.connected, at: .seconds(1)) == [.greet])
    #expect(machine.handle(.hello(hello), at: .seconds(1)) == [.stage])
    #expect(!machine.mayHaveChangedHost)
    #expect(machine.handle(.staged(ours, manifest: wanted), at: .seconds(2)) == [.apply])
    #expect(machine.mayHaveChangedHost)
    return machine
  }

  /// A machine whose answer was lost at second 3, and which is connected again and asks.
  func asking() -> DeliveryMachine {
    var machine = applying()
    #expect(machine.handle(.transportFailed("reset"), at: .seconds(3)) == [.disconnect, .wakeUp(at: .seconds(3.5))])
    #expect(machine.handle(.tick, at: .seconds(3.5)) == [.connect, .wakeUp(at: .seconds(60))])
    #expect(machine.handle(.connected, at: .seconds(4)) == [.greet])
    #expect(machine.handle(.hello(hello), at: .seconds(4)) == [.askReport(nonce(9))])
    return machine
  }

  @Test(arguments: [
    (Outcome.Result.committed, DeliveryResult.current(touched: true)), (.unchanged, .current(touched: false)),
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
    #expect(machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(5)) == [.stage])
    #expect(machine.handle(.staged(ours, manifest: wanted), at: .seconds(5)) == [.apply])
    #expect(machine.handle(.outcome(outcome(.reverted)), at: .seconds(6)).last == .finish(.reverted("why")))
  }

  @Test func `a report on another question does not count`() {
    var machine = asking()
    #expect(machine.handle(.report(makeReport(nonce(8), manifest: wanted)), at: .seconds(5)).isEmpty)
    var before = applying()
    #expect(before.handle(.report(makeReport(nonce(9), manifest: wanted)), at: .seconds(5)).isEmpty)
  }

  @Test func `the pauses grow, and the deadline ends them as unknown`() {
    var machine = applying(.init(firstBackOff: .seconds(1), longestBackOff: .seconds(4)))
    var now: Duration = .seconds(3)
    var pauses: [Duration] = []
    while machine.result == nil {
      let actions = machine.handle(.transportFailed("no route"), at: now)
      guard case .wakeUp(let moment)? = actions.last else { break }
      pauses.append(moment - now)
      now = moment
      _ = machine.handle(.tick, at: now)
    }
    #expect(pauses.prefix(5) == [.seconds(1), .seconds(2), .seconds(4), .seconds(4), .seconds(4)])
    #expect(machine.result == .unknown("the deadline passed: no route"))
    #expect(now == .seconds(60))
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
    AgentHello(version: 2, agentVersion: "9", host: h001, fleet: fleet),
    AgentHello(version: 1, agentVersion: "0.1.0", host: HostID("h002")!, fleet: fleet),
    AgentHello(version: 1, agentVersion: "0.1.0", host: h001, fleet: FleetID("prod")!),
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
      machine.handle(.tick, at: .seconds(60)).last == .finish(.failed("the deadline passed: another apply", .busy)))
  }

  @Test func `a refusal after a lost answer is believed only after a look at the host`() {
    for (manifest, result) in [
      (wanted, DeliveryResult.current(touched: true)), (older, .unknown("reset; sent again, and refused: full")),
    ] {
      var machine = asking()
      _ = machine.handle(.report(makeReport(nonce(9), manifest: older)), at: .seconds(5))
      let refusal = Refusal(code: .diskFull, detail: "full")
      #expect(machine.handle(.refused(refusal), at: .seconds(6)) == [.askReport(nonce(9))])
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
    #expect(machine.handle(.outcome(outcome(.committed)), at: .seconds(61)).last == .finish(.current(touched: true)))
    var late = DeliveryMachine(target: target, deadline: .seconds(60))
    _ = late.start()
    _ = late.handle(.connected, at: .seconds(59))
    #expect(late.handle(.hello(hello), at: .seconds(60)).last == .finish(.unreachable("the deadline passed")))
  }

  @Test func `an early alarm is set again`() {
    var machine = applying()
    #expect(machine.handle(.tick, at: .seconds(10)) == [.wakeUp(at: .seconds(60))])
    #expect(
      machine.handle(.tick, at: .seconds(60)).last
        == .finish(.unknown("the deadline passed while the host was applying")))
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
    tally.refusals = 1
    #expect(tally.exitCode == .refused)
    tally.errors = 1
    #expect(tally.exitCode == .error)
    tally.interrupted = true
    #expect(tally.exitCode == .interrupted)
  }

  @Test func `the numbers are those that scripts rely on`() {
    #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 64, 130])
  }
}
