import Core
import Rollout
import TestSupport
import Testing
import Wire

private typealias Sample = OrderSample

/// A host and the way to it, which lose, delay and refuse at random; what it tells is true.
private struct OrderWorld {
  var random: Random
  /// In percent.
  let loss: Int
  let healsAt: Duration
  /// Nothing would load before.
  let loadsAt: Duration
  /// Somebody else sends a later order then.
  let overtakenAt: Duration?
  let refusal: Refusal.Code?
  let late: Duration

  /// It took the order, whatever it answered then.
  var hasHeard = false
  var isLocked = false

  init(random: Random, late: Duration) {
    var random = random
    loss = random.pick([0, 10, 40, 80])
    healsAt = .seconds(random.below(900))
    loadsAt = random.sometimes(4) ? .seconds(random.below(300)) : .zero
    overtakenAt = random.sometimes(6) ? .seconds(random.below(1200)) : nil
    refusal = random.sometimes(8) ? random.pick([.unknownProfile, .profileAltered, .tooFewPrincipals]) : nil
    self.late = late
    self.random = random
  }

  func isHealed(at now: Duration) -> Bool { now >= healsAt }
  func isOvertaken(at now: Duration) -> Bool { overtakenAt.map { now >= $0 } ?? false }

  /// One connection with the order: what comes back, and how long it takes.
  mutating func attempt(at now: Duration) -> (event: OrderMachine.Event, takes: Duration) {
    let takes = Duration.milliseconds(random.below(isHealed(at: now) ? 500 : 20_000))
    func lost() -> Bool { !isHealed(at: now) && random.below(100) < loss }
    if lost() { return (.failed("no route", mayHaveHeard: false), takes) }
    if !isHealed(at: now), random.sometimes(10) {
      var hello = Sample.hello
      hello.host = HostID("web2")!
      return (.answered(hello, .obeyed(Sample.obeyed(.locked, Sample.lock()))), takes)
    }
    if lost() { return (.failed("it hung up", mayHaveHeard: true), takes) }
    let answer =
      isHealed(at: now) || !random.sometimes(5) ? judge(at: now) : .refused(Refusal(code: .busy, detail: "busy"))
    if lost() { return (.failed("it hung up", mayHaveHeard: true), takes) }
    return (.answered(Sample.hello, answer), takes)
  }

  private mutating func judge(at now: Duration) -> OrderMachine.Answer {
    func refuse(_ code: Refusal.Code) -> OrderMachine.Answer { .refused(Refusal(code: code, detail: "no")) }
    if isOvertaken(at: now) {
      isLocked = false
      return refuse(.olderEpoch)
    }
    if !hasHeard {
      if now >= late { return refuse(.orderExpired) }
      if let refusal { return refuse(refusal) }
    }
    let isRepeated = hasHeard
    hasHeard = true
    guard now >= loadsAt else { return .obeyed(Sample.obeyed(.locking, Sample.lock(phase: .locking))) }
    isLocked = true
    return .obeyed(Sample.obeyed(isRepeated ? .repeated : .locked, Sample.lock()))
  }
}

struct OrderInterleavingTests {
  @Test func `whatever happens on the way, what is claimed of a host is true`() {
    let seed = Random.seed()
    var counts: [String: Int] = [:]
    for run in 0..<5_000 {
      if let fault = Self.fault(seed &+ UInt64(run), &counts) { Issue.record("seed \(seed &+ UInt64(run)): \(fault)") }
    }
    print("orders: \(counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))")
    // A world in which something never happens proves nothing of it.
    for word in ["verified", "refused", "unreachable", "unsure", "notAsked", "acknowledged"] {
      #expect(counts[word, default: 0] > 0, "\(word)")
    }
  }

  private static func fault(_ seed: UInt64, _ counts: inout [String: Int]) -> String? {
    var random = Random(seed: seed)
    let end = Duration.seconds(random.pick([60, 600, 1800]))
    let late = Duration.seconds(random.pick([60, 300, 3600]))
    var world = OrderWorld(random: random, late: late)
    let jitter = Double(random.below(1001)) / 1000
    var machine = OrderMachine(target: Sample.target(), end: end, late: late, jitter: { jitter })
    var now = Duration.zero
    var maybeHeard = false
    var lastAnswer: OrderMachine.Event?
    var action = machine.start(at: now)
    while action != .finish {
      switch action {
      case .attempt:
        if now >= end { return "tried at \(now), after its end" }
        if now >= late, !maybeHeard { return "tried at \(now), too late for a host that heard nothing" }
        if machine.tries > 200 { return "it never ends" }
        let (event, takes) = world.attempt(at: now)
        now += takes
        if case .failed(_, mayHaveHeard: true) = event { maybeHeard = true }
        if case .answered(Sample.hello, .obeyed) = event { maybeHeard = true }
        lastAnswer = event
        action = machine.handle(event, at: now)
      case .pause(let until):
        if until - now > .seconds(37.5) || until <= now { return "it pauses from \(now) to \(until)" }
        now = until
        action = machine.handle(.tick, at: now)
      case .finish: break
      }
    }
    counts["\("\(machine.claim)".prefix { $0 != "(" })", default: 0] += 1
    switch machine.claim {
    case .verified: if !world.isLocked { return "verified, and it is not locked" }
    case .acknowledged: if !world.hasHeard { return "acknowledged, and it heard nothing" }
    case .unreachable, .notAsked: if world.hasHeard { return "\(machine.claim), and it took the order" }
    case .refused(let code, _):
      guard case .answered(_, .refused(let refusal)) = lastAnswer, refusal.code == code else {
        return "refused, and it did not say so last"
      }
      if code != .olderEpoch, world.hasHeard { return "refused, and it took the order" }
    case .unsure: break
    case .waiting: return "it was never tried"
    case .notMeant, .overtaken: return "\(machine.claim), and nobody said so"
    }
    let settledBy = max(world.healsAt, world.loadsAt) + .seconds(80)
    let obeys = world.refusal == nil && world.overtakenAt == nil
    if obeys, settledBy < end, settledBy < late, world.isLocked == false {
      return "it could have been locked: \(machine.claim)"
    }
    return nil
  }
}
