import Core
import Rollout
import Testing
import Wire

private typealias Sample = OrderSample
private let locked = Sample.obeyed(.locked, Sample.lock())

/// An hour to arrive, half an hour to try.
private func machine(
  _ target: OrderTarget = Sample.target(), earlier: OrderClaim = .waiting, end: Duration = .seconds(1800),
  late: Duration = .seconds(3600), jitter: Double = 0.5
) -> OrderMachine {
  OrderMachine(target: target, earlier: earlier, end: end, late: late, jitter: { jitter })
}

private func answer(_ obeyed: Obeyed) -> OrderMachine.Event { .answered(Sample.hello, .obeyed(obeyed)) }

private func refusal(_ code: Refusal.Code, _ detail: String = "no") -> OrderMachine.Event {
  .answered(Sample.hello, .refused(Refusal(code: code, detail: detail)))
}

struct OrderMachineTests {
  @Test func `a host that is locked, and read it back, is verified`() {
    var host = machine()
    #expect(host.start(at: .zero) == .attempt)
    #expect(host.handle(answer(locked), at: .seconds(1)) == .finish)
    #expect(host.claim == .verified(locked))
  }

  /// Nothing but the ordered lock, read back as loaded in both families, is one.
  static let answers: [(deed: OrderTarget.Deed, obeyed: Obeyed, isVerified: Bool, isAskedAgain: Bool)] = [
    (.lock(Sample.isolate), Sample.obeyed(.repeated, Sample.lock()), true, false),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(phase: .fallback)), false, false),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(phase: .locking)), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locking, Sample.lock(phase: .locking)), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.repeated, Sample.lock(differing: "a rule is gone")), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(uncut: "no conntrack")), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.repeated, Sample.lock(uncut: "no conntrack")), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locked, nil), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(order: Digest(of: []))), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(profile: ProfileName("no-egress")!)), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.locked, Sample.lock(), epoch: 6), false, true),
    (.lock(Sample.isolate), Sample.obeyed(.ended), false, false),
    (.lock(Sample.isolate), Sample.obeyed(.outOfScope), false, false),
    (.lock(Sample.isolate), Sample.obeyed(.drilled), false, false),
    (.lock(Sample.isolate), Sample.obeyed(.lifted), false, false),
    (.drill(Sample.isolate), Sample.obeyed(.drilled), true, false),
    (.drill(Sample.isolate), Sample.obeyed(.outOfScope), false, false),
    (.drill(Sample.isolate), Sample.obeyed(.locked, Sample.lock()), false, false),
    (.lift, Sample.obeyed(.lifted), true, false),
    (.lift, Sample.obeyed(.nothingToLift), true, false),
    (.lift, Sample.obeyed(.lifted, Sample.lock(epoch: 6)), false, true),
    (.lift, Sample.obeyed(.outOfScope), false, false),
    (.lift, Sample.obeyed(.locked, Sample.lock()), false, false),
  ]

  @Test(arguments: answers) func `an answer is worth what it says`(
    deed: OrderTarget.Deed, obeyed: Obeyed, isVerified: Bool, isAskedAgain: Bool
  ) {
    var host = machine(Sample.target(deed))
    _ = host.start(at: .zero)
    let action = host.handle(answer(obeyed), at: .zero)
    #expect((host.claim == .verified(obeyed)) == isVerified)
    #expect((action == .finish) != isAskedAgain)
    if isAskedAgain { #expect(action == .pause(until: .milliseconds(500))) }
  }

  @Test func `a host that a lift is not for has heard it, and that is enough, and is no host that is open`() {
    var host = machine(Sample.target(.lift, isMeant: false))
    _ = host.start(at: .zero)
    let heard = Sample.obeyed(.outOfScope, Sample.lock(epoch: 6))
    #expect(host.handle(answer(heard), at: .zero) == .finish)
    #expect(host.claim == .notMeant(heard))
  }

  @Test func `a host that a lift is not for and that opened is told`() {
    var host = machine(Sample.target(.lift, isMeant: false))
    _ = host.start(at: .zero)
    let opened = Sample.obeyed(.lifted)
    #expect(host.handle(answer(opened), at: .zero) == .finish)
    guard case .acknowledged(opened, let words) = host.claim else { return #expect(Bool(false), "\(host.claim)") }
    #expect(words.contains("not for it by the inventory, and opened it"))
    // That it has nothing to open is no news.
    var other = machine(Sample.target(.lift, isMeant: false))
    _ = other.start(at: .zero)
    #expect(other.handle(answer(Sample.obeyed(.nothingToLift)), at: .zero) == .finish)
    #expect(other.claim == .verified(Sample.obeyed(.nothingToLift)))
  }

  @Test func `a host that a lift is not for needs no fresh one`() {
    var host = machine(Sample.target(.lift, isMeant: false), late: .seconds(-1))
    #expect(host.start(at: .zero) == .finish)
    #expect(host.claim == .notAsked("order 7 had to arrive by 2026-11-22T03:11:09Z, and is not for it"))
  }

  @Test(arguments: [true, false])
  func `once a later order was sent the host is not asked any more`(mayHaveHeard: Bool) {
    var host = machine()
    _ = host.start(at: .zero)
    _ = host.handle(.failed("it hung up", mayHaveHeard: mayHaveHeard), at: .zero)
    _ = host.handle(.tick, at: .seconds(1))
    #expect(host.handle(.overtaken(by: Epoch(8)), at: .seconds(1)) == .finish)
    #expect(host.claim == .overtaken(by: Epoch(8), mayHaveHeard: mayHaveHeard))
    #expect(host.claim.mayHaveHeard == mayHaveHeard)
  }

  @Test func `what it said stands also when a later order was sent`() {
    var host = machine()
    _ = host.start(at: .zero)
    let locking = Sample.obeyed(.locking, Sample.lock(phase: .locking))
    _ = host.handle(answer(locking), at: .zero)
    _ = host.handle(.tick, at: .seconds(1))
    #expect(host.handle(.overtaken(by: Epoch(8)), at: .seconds(1)) == .finish)
    #expect(host.claim.obeyed == locking)
  }

  @Test(arguments: Refusal.Code.allCases) func `a refusal is final, but for a host that is busy`(code: Refusal.Code) {
    var host = machine()
    _ = host.start(at: .zero)
    let action = host.handle(refusal(code, "because"), at: .zero)
    #expect(host.claim == .refused(code, "because"))
    #expect(action == (code == .busy ? .pause(until: .milliseconds(500)) : .finish))
  }

  @Test func `it is tried after half a second, then ever more seldom, to thirty seconds`() {
    var host = machine(late: .seconds(1800))
    var now = Duration.zero
    var pauses: [Duration] = []
    var action = host.start(at: now)
    while pauses.count < 9 {
      #expect(action == .attempt)
      guard case .pause(let until) = host.handle(.failed("no route", mayHaveHeard: false), at: now) else { break }
      pauses.append(until - now)
      now = until
      action = host.handle(.tick, at: now)
    }
    #expect(pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30].map { .seconds($0) })
    #expect(host.claim == .unreachable("no route"))
    #expect(host.tries == 10)
  }

  @Test func `hosts that failed together are not tried together`() {
    for (jitter, pause) in [(0.0, 375), (1, 625)] {
      var host = machine(jitter: jitter)
      _ = host.start(at: .zero)
      #expect(host.handle(.failed("-", mayHaveHeard: false), at: .zero) == .pause(until: .milliseconds(pause)))
    }
  }

  @Test func `who cannot have heard it in time needs a fresh order`() {
    var host = machine(late: .seconds(10))
    var now = Duration.zero
    var action = host.start(at: now)
    var attempts: [Duration] = []
    while action != .finish {
      switch action {
      case .attempt:
        attempts.append(now)
        action = host.handle(.failed("no route", mayHaveHeard: false), at: now)
      case .pause(let until):
        now = until
        action = host.handle(.tick, at: now)
      case .finish: break
      }
    }
    // The last one just before it is too late.
    #expect(attempts == [0, 0.5, 1.5, 3.5, 7.5, 9].map { .seconds($0) })
    #expect(
      host.claim
        == .notAsked("order 7 had to arrive by 2026-11-22T03:11:09Z: it needs a fresh order; no route"))
  }

  @Test func `too late, a host is not asked at all, unless it may have heard before`() {
    var late = machine(late: .seconds(-1))
    #expect(late.start(at: .zero) == .finish)
    guard case .notAsked = late.claim else { return #expect(Bool(false), "\(late.claim)") }
    var unsure = machine(earlier: .unsure("it hung up"), late: .seconds(-1))
    #expect(unsure.start(at: .zero) == .attempt)
    #expect(unsure.handle(refusal(.orderExpired), at: .zero) == .finish)
    #expect(unsure.claim == .refused(.orderExpired, "no"))
  }

  @Test func `after a lost answer it is asked until it says, and never called unreachable`() {
    var host = machine(late: .seconds(2))
    _ = host.start(at: .zero)
    _ = host.handle(.failed("it hung up", mayHaveHeard: true), at: .zero)
    #expect(host.claim == .unsure("it hung up"))
    #expect(host.handle(.tick, at: .seconds(5)) == .attempt)
    _ = host.handle(.failed("no route", mayHaveHeard: false), at: .seconds(5))
    #expect(host.claim == .unsure("no route"))
    _ = host.handle(.tick, at: .seconds(8))
    _ = host.handle(refusal(.busy, "at work"), at: .seconds(8))
    #expect(host.claim == .unsure("at work"))
    _ = host.handle(.tick, at: .seconds(20))
    _ = host.handle(answer(Sample.obeyed(.repeated, Sample.lock())), at: .seconds(20))
    #expect(host.claim == .verified(Sample.obeyed(.repeated, Sample.lock())))
  }

  @Test func `what it said stands while it is silent`() {
    var host = machine()
    _ = host.start(at: .zero)
    let locking = Sample.obeyed(.locking, Sample.lock(phase: .locking))
    _ = host.handle(answer(locking), at: .zero)
    _ = host.handle(.tick, at: .seconds(1))
    _ = host.handle(.failed("no route", mayHaveHeard: false), at: .seconds(1))
    #expect(host.claim.obeyed == locking)
  }

  @Test func `nobody speaks for another host or fleet`() {
    for (name, fleet) in [("web2", "example"), ("web1", "other")] {
      var host = machine()
      _ = host.start(at: .zero)
      var hello = Sample.hello
      hello.host = HostID(name)!
      hello.fleet = FleetID(fleet)!
      #expect(host.handle(.answered(hello, .obeyed(locked)), at: .zero) == .pause(until: .milliseconds(500)))
      #expect(host.claim == .unreachable("the host that answered is \(name) of fleet \(fleet)"))
    }
  }

  @Test func `an interruption ends it with what is known`() {
    var host = machine()
    _ = host.start(at: .zero)
    _ = host.handle(.failed("it hung up", mayHaveHeard: true), at: .zero)
    #expect(host.handle(.interrupted, at: .zero) == .finish)
    #expect(host.claim == .unsure("it hung up"))
    #expect(host.handle(answer(locked), at: .zero) == .finish)
    #expect(host.claim == .unsure("it hung up"))
  }

  @Test func `no try begins after its time`() {
    var host = machine(end: .seconds(2))
    _ = host.start(at: .zero)
    #expect(host.handle(.failed("-", mayHaveHeard: false), at: .seconds(1)) == .finish)
    #expect(host.claim == .unreachable("-"))
  }
}

struct OrderTallyTests {
  private static let names = (1...100).map { HostID("web\($0)")! }

  @Test func `a verified host is an acknowledged one, and the slowest are shown`() {
    var tally = OrderTally(Dictionary(uniqueKeysWithValues: Self.names.map { ($0, .waiting) }))
    #expect(tally.times == nil && tally.counts.waiting == 100)
    for (index, name) in Self.names.enumerated() {
      tally.note(index < 98 ? .verified(locked) : .unreachable("-"), of: name, after: .milliseconds(index + 1))
    }
    #expect(tally.counts.acknowledged == 98 && tally.counts.verified == 98)
    #expect(tally.counts.unreachable == 2 && tally.counts.waiting == 0)
    #expect(
      tally.times.map { [$0.p50, $0.p99, $0.longest] } == [49, 98, 98].map { Duration.milliseconds($0) })
    #expect(tally.exitCode(isDrill: false) == .someUnreachable)
  }

  @Test func `a host that a lift is not for is counted as nothing else`() {
    let tally = OrderTally([Self.names[0]: .notMeant(locked), Self.names[1]: .verified(locked)])
    #expect(tally.counts.notMeant == 1 && tally.counts.verified == 1 && tally.counts.acknowledged == 1)
  }

  @Test(arguments: [true, false])
  func `that a later order is for a host which a lift is not for is no lack of the lift`(mayHaveHeard: Bool) {
    let overtaken = OrderClaim.overtaken(by: Epoch(8), mayHaveHeard: mayHaveHeard)
    var tally = OrderTally([Self.names[0]: overtaken, Self.names[1]: .verified(locked)])
    tally.outside = [Self.names[0]]
    #expect(tally.exitCode(isDrill: false) == (mayHaveHeard ? .someUnreachable : .done))
    tally.outside = []
    #expect(tally.exitCode(isDrill: false) == .someUnreachable)
  }

  static let codes: [(claims: [OrderClaim], real: ExitCode, drill: ExitCode)] = [
    ([.verified(locked)], .done, .done),
    ([.verified(locked), .acknowledged(locked, "-")], .someFailed, .finding),
    ([.verified(locked), .refused(.unknownProfile, "-")], .someFailed, .finding),
    ([.refused(.unknownProfile, "-"), .unreachable("-")], .someFailed, .someUnreachable),
    ([.verified(locked), .unsure("-")], .someUnreachable, .someUnreachable),
    ([.verified(locked), .notAsked("-")], .someUnreachable, .someUnreachable),
    ([.verified(locked), .notMeant(locked)], .done, .done),
    ([.verified(locked), .overtaken(by: Epoch(8), mayHaveHeard: false)], .someUnreachable, .someUnreachable),
    ([.verified(locked), .overtaken(by: Epoch(8), mayHaveHeard: true)], .someUnreachable, .someUnreachable),
    ([.verified(locked), .waiting], .someUnreachable, .someUnreachable),
  ]

  @Test(arguments: codes) func `the exit code says the worst of it`(
    claims: [OrderClaim], real: ExitCode, drill: ExitCode
  ) {
    var tally = OrderTally(Dictionary(uniqueKeysWithValues: zip(Self.names, claims)))
    #expect(tally.exitCode(isDrill: false) == real)
    #expect(tally.exitCode(isDrill: true) == drill)
    tally.errors = 1
    #expect(tally.exitCode(isDrill: false) == .error)
    tally.interrupted = true
    #expect(tally.exitCode(isDrill: false) == .interrupted)
  }
}
