import AgentTestSupport
import Core
import Release
import TestSupport
import Testing
import Wire

@testable import Apply

/// The machine over a model of a kernel and a journal: whatever fails, and wherever the process dies between two
/// actions, the kernel ends as the journal says, and the journal as an accepted order says.
@Suite struct LockdownModelTests {
  enum Layer: Hashable {
    case none
    /// The profile of this epoch, or the built-in one, hooked first.
    case hooked(Epoch?)
    /// The chains are there and are not called, or twice.
    case crooked(Epoch?)

    var shuts: Bool {
      switch self {
      case .none: false
      case .hooked: true
      case .crooked: false
      }
    }
  }

  struct Host {
    var ledger = Ledger()
    var kernel = PerFamily<Layer>(ipv4: .none, ipv6: .none)
    var random: Random
    /// One time in so many an action fails, or the process dies.
    var failsOneIn = Int.max
    var diesOneIn = Int.max
    /// Loads of the ordered profile never work.
    var isProfileBad = false
    /// The layer was whole when this run began, and has to be at each step.
    var staysShut = false
    var log: [String] = []
    var opened: [String] = []

    init(seed: UInt64) { random = Random(seed: seed) }

    mutating func chance(_ one: Int) -> Bool { one < Int.max && random.sometimes(one) }

    /// Nil when the process died.
    mutating func run(_ request: LockdownMachine.Request) -> LockdownMachine.Action? {
      var machine = LockdownMachine(ledger.lock)
      var action = machine.begin(request)
      log.append("— \(request)".prefix(60).description)
      while true {
        log.append(LockdownMachineTests.word(action))
        switch action {
        case .answer, .refuse: return action
        case .journal, .load, .cutFlows, .reread, .takeBack, .remove, .readGone: break
        }
        let dies = chance(diesOneIn)
        if dies, random.sometimes(2) {
          log.append("dies before it")
          return nil
        }
        let worked = perform(action)
        if staysShut, !(kernel.ipv4.shuts && kernel.ipv6.shuts) { opened.append(LockdownMachineTests.word(action)) }
        if dies {
          log.append("dies after it")
          return nil
        }
        switch (worked, action) {
        case (false, _): action = machine.failed(LockdownMachineTests.no)
        case (true, .reread(let side)):
          let wanted = Layer.hooked(side == .ordered ? ledger.lock?.epoch : nil)
          let isRight = kernel.ipv4 == wanted && kernel.ipv6 == wanted
          action =
            isRight ? machine.matched(JournalTests.expectation) : machine.failed(LockdownMachineTests.no)
        case (true, .readGone):
          let isGone = kernel.ipv4 == .none && kernel.ipv6 == .none
          action = isGone ? machine.gone(at: SignedBundles.now) : machine.failed(LockdownMachineTests.no)
        case (true, _): action = LockdownMachineTests.succeed(action, &machine)
        }
      }
    }

    /// A load that fails did all of its one transaction or nothing; an append that fails did nothing.
    mutating func perform(_ action: LockdownMachine.Action) -> Bool {
      let fails = chance(failsOneIn)
      if fails, random.sometimes(2) { return false }
      switch action {
      case .journal(let record):
        if fails { return false }
        ledger.replay(record)
      case .load(let side, let manner, let family, _):
        if side == .ordered, isProfileBad { return false }
        let text = side == .ordered ? ledger.lock?.epoch : nil
        switch (manner, kernel[family]) {
        case (.mend, _), (.first, .none), (.refill, .hooked): kernel[family] = .hooked(text)
        case (.first, .hooked), (.first, .crooked), (.refill, .none), (.refill, .crooked):
          kernel[family] = .crooked(text)
        }
      case .remove(let family, _): kernel[family] = .none
      case .cutFlows, .reread, .readGone: break
      case .takeBack: ledger.open = nil
      case .refuse, .answer: break
      }
      return !fails
    }

    var holdsLock: Bool {
      guard let lock = ledger.lock else { return kernel.ipv4 == .none && kernel.ipv6 == .none }
      let isRight = kernel.ipv4 == .hooked(lock.epoch) || kernel.ipv4 == .hooked(nil)
      return isRight && kernel.ipv4 == kernel.ipv6
    }
  }

  static let seed = Random.seed()

  @Test func `whatever fails and wherever it dies, the kernel ends as the journal says`() throws {
    for number in 0..<UInt64(Fuzzing.count(400)) {
      let seed = Self.seed &+ number
      var host = Host(seed: seed)
      var epoch: UInt64 = 0
      /// Somebody was asked to lift the lock that is there.
      var mayLift = false
      for _ in 0..<12 {
        host.failsOneIn = host.random.pick([Int.max, 2, 4, 10])
        host.diesOneIn = host.random.pick([Int.max, Int.max, 4, 10])
        host.isProfileBad = host.random.sometimes(10)
        let before = host.ledger
        let wasWhole = host.holdsLock && before.lock?.held != nil
        epoch += 1
        let request: LockdownMachine.Request
        host.staysShut = false
        switch host.random.below(8) {
        case 0, 1, 2:
          if host.random.sometimes(3) {
            var open = JournalTests.open
            open.phase = .applied
            host.ledger.open = open
          }
          request = .lock(LockRecordTests.lock(epoch), voids: host.ledger.open?.id)
          host.staysShut = wasWhole
        case 3: request = .lift(.order(Epoch(epoch)), LockRecordTests.floor(epoch))
        case 4: request = .lift(.itself, nil)
        case 5: request = .hear(LockRecordTests.floor(epoch), .outOfScope)
        case 6 where before.lock != nil: request = .repeated
        default: request = .check
        }
        if case .lift = request { mayLift = true }
        let end = host.run(request)
        let place: Comment = "seed \(seed): \(host.log.suffix(40).joined(separator: ", "))"
        #expect(host.opened.isEmpty, place)
        #expect((host.ledger.epochFloor?.epoch ?? .none) >= (before.epochFloor?.epoch ?? .none), place)
        if before.lock != nil, host.ledger.lock == nil { #expect(mayLift, place) }
        if case .lock? = Self.kind(request), host.ledger.lock?.epoch == Epoch(epoch) { mayLift = false }
        if case .answer(let answer)? = end {
          switch answer.result {
          case .locked:
            #expect(host.ledger.lock?.epoch == Epoch(epoch) && host.holdsLock, place)
          case .repeated: #expect(host.ledger.lock?.epoch == before.lock?.epoch && host.holdsLock, place)
          case .lifted: #expect(host.ledger.lock == nil && host.holdsLock, place)
          case .locking: #expect(host.ledger.lock != nil, place)
          case .nothingToLift: #expect(before.lock == nil && host.ledger.lock == nil, place)
          case .outOfScope, .ended, .kept: #expect(host.ledger.lock?.epoch == before.lock?.epoch, place)
          }
          #expect(answer.result == .locking || host.ledger.open?.phase != .applied || !Self.voids(request), place)
        }
        if case .refuse? = end { #expect(host.ledger.lock?.epoch == before.lock?.epoch, place) }
        // Somebody else is at work, too.
        if host.random.sometimes(6) { host.kernel[host.random.pick(Family.allCases)] = .none }
        if host.random.sometimes(12) { host.kernel = PerFamily(ipv4: .none, ipv6: .none) }
        // Starts that die and fail like anything else; in the end one does not.
        host.staysShut = false
        if end == nil { _ = host.run(.restart) }
        host.failsOneIn = .max
        host.diesOneIn = .max
        let lock = host.ledger.lock
        _ = host.run(.restart)
        let after: Comment = "seed \(seed), at rest: \(host.log.suffix(40).joined(separator: ", "))"
        #expect(host.holdsLock, after)
        #expect(host.ledger.lock?.epoch == lock?.epoch, after)
        let settled = host
        _ = host.run(.restart)
        #expect(host.ledger.lock?.epoch == settled.ledger.lock?.epoch && host.kernel == settled.kernel, after)
        guard host.holdsLock else { return }
      }
    }
  }

  private enum Kind { case lock, other }

  private static func kind(_ request: LockdownMachine.Request) -> Kind? {
    if case .lock = request { .lock } else { .other }
  }

  private static func voids(_ request: LockdownMachine.Request) -> Bool {
    if case .lock(_, .some) = request { true } else { false }
  }
}
