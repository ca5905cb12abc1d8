import Core
import Testing
import Wire

@testable import Rollout

/// Whole deliveries in virtual time, over a network that loses, repeats, delays and reorders.
struct DeliverySimulationTests {
  struct Network {
    var loss = 0
    var duplication = 0
    var leakFromOldConnections = 0
    var forgery = 0
    var connectionAttempts = 2
    /// The caller hands in what it promised to.
    var isHonest: Bool { leakFromOldConnections == 0 && forgery == 0 }
    /// After this, nothing goes wrong any more.
    var healsAt: Duration = .seconds(1_000_000)
  }

  struct Run {
    var result: DeliveryResult?
    var host = SimulatedHost()
    var atTheEnd: Duration = .zero
    /// What the host ran when the result was given.
    var committedThen: Digest?
    var finishes = 0
  }

  private enum Arrival {
    case atHost(DeliveryMachine.Action, connection: Int)
    case atController(DeliveryMachine.Event, connection: Int)
    case wakeUp(Int)
  }

  static func run(_ seed: UInt64, _ network: Network, deadline: Duration = .seconds(300)) -> Run {
    var random = SeededGenerator(seed: seed)
    let nonces = (0..<250).map { Rollout_nonce($0) }
    let counter = Counter()
    let limits = DeliveryMachine.Limits(connectionAttempts: network.connectionAttempts)
    var machine = DeliveryMachine(target: target, deadline: deadline, limits: limits) {
      nonces[counter.next() % nonces.count]
    }
    var run = Run()
    var queue: [(at: Duration, order: Int, arrival: Arrival)] = []
    var order = 0
    var connection = 0
    var alarm = 0
    var now: Duration = .zero

    func push(_ arrival: Arrival, after delay: Duration) {
      order += 1
      queue.append((now + delay, order, arrival))
    }
    func send(_ arrival: Arrival) {
      let healthy = now >= network.healsAt
      if !healthy && random.chance(network.loss) {
        // What is lost on a connection ends it, sooner or later.
        let failed = Arrival.atController(.transportFailed("reset"), connection: connection)
        return push(failed, after: .milliseconds(Int.random(in: 1...20_000, using: &random)))
      }
      push(arrival, after: .milliseconds(Int.random(in: 1...(healthy ? 50 : 3_000), using: &random)))
      // No transport repeats a request on its own: repeating is left to the machine.
      if case .atHost = arrival { return }
      if !healthy && random.chance(network.duplication) {
        push(arrival, after: .milliseconds(Int.random(in: 1...9_000, using: &random)))
      }
    }
    func perform(_ actions: [DeliveryMachine.Action]) {
      for action in actions {
        switch action {
        case .connect:
          connection += 1
          send(.atController(.connected, connection: connection))
        case .greet, .stage, .apply, .askReport: send(.atHost(action, connection: connection))
        case .wakeUp(let moment):
          alarm += 1
          push(.wakeUp(alarm), after: moment - now)
        case .disconnect: connection += 1
        case .finish(let result):
          run.finishes += 1
          run.result = result
          run.committedThen = run.host.committed
          run.atTheEnd = now
        }
      }
    }

    perform(machine.start())
    while !queue.isEmpty, order < 4_000 {
      let next = queue.indices.min { (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order) }!
      let item = queue.remove(at: next)
      now = item.at
      switch item.arrival {
      case .wakeUp(let number): if number == alarm { perform(machine.handle(.tick, at: now)) }
      case .atController(let event, let source):
        if source == connection || random.chance(network.leakFromOldConnections) {
          perform(machine.handle(event, at: now))
        }
      case .atHost(let message, let source):
        if let answer = run.host.answer(message, on: source, &random) {
          send(.atController(answer, connection: source))
        } else {
          send(.atController(.transportFailed("closed"), connection: source))
        }
      }
      if random.chance(network.forgery) {
        let forged: [DeliveryMachine.Event] = [
          .outcome(outcome(.committed, transaction: theirs)), .staged(theirs, manifest: wanted),
          .report(makeReport(nonce(255), manifest: wanted)), .hello(hello), .connected, .tick,
        ]
        perform(machine.handle(forged.randomElement(using: &random)!, at: now))
      }
    }
    return run
  }

  static func check(_ run: Run, _ network: Network, _ seed: UInt64, _ counts: inout [String: Int]) {
    #expect(run.finishes == 1, "seed \(seed)")
    guard let result = run.result else { return }
    switch result {
    case .current:
      counts["current", default: 0] += 1
      #expect(run.committedThen == wanted && run.host.committed == wanted, "false current, seed \(seed)")
    case .reverted:
      counts["reverted", default: 0] += 1
      #expect(run.host.recorded[ours]?.result == .reverted && run.host.committed != wanted, "seed \(seed)")
    case .failed:
      counts["failed", default: 0] += 1
      #expect(run.host.committed != wanted || !network.isHonest, "false failed, seed \(seed)")
    case .unreachable:
      counts["unreachable", default: 0] += 1
      #expect(!run.host.everApplied || !network.isHonest, "it was told to apply, seed \(seed)")
    case .unknown: counts["unknown", default: 0] += 1
    }
  }

  @Test(arguments: [
    Network(), Network(loss: 10), Network(loss: 30, duplication: 20),
    Network(loss: 10, duplication: 30, leakFromOldConnections: 30, forgery: 10),
    Network(loss: 60, duplication: 10, connectionAttempts: 100),
  ])
  func `nothing a network does makes a host look current that is not`(network: Network) {
    let first = UInt64.random(in: .min ... .max)
    var counts: [String: Int] = [:]
    for index in 0..<4_000 {
      let seed = first &+ UInt64(index)
      Self.check(Self.run(seed, network), network, seed, &counts)
    }
    print("delivery over \(network): \(counts.sorted { $0.key < $1.key }), first seed \(first)")
    #expect(counts["current", default: 0] > 10)
  }

  @Test func `once the network is well again every delivery ends in what is true`() {
    let first = UInt64.random(in: .min ... .max)
    for index in 0..<3_000 {
      let seed = first &+ UInt64(index)
      let network = Network(loss: 40, duplication: 20, healsAt: .seconds(120))
      let run = Self.run(seed, network, deadline: .seconds(100_000))
      var counts: [String: Int] = [:]
      Self.check(run, network, seed, &counts)
      if case .unknown(let why) = run.result {
        // Only a host that staged other bytes than were sent, or refused what it was sent again, ends so.
        #expect(why.contains("another manifest") || why.contains("refused: "), "seed \(seed): \(why)")
      }
      if run.host.committed == wanted, run.result != .current(touched: true) {
        if case .unknown = run.result {} else { Issue.record("seed \(seed): committed, and \(run.result!)") }
      }
      #expect(run.atTheEnd < .seconds(3_600), "seed \(seed)")
    }
  }
}

func Rollout_nonce(_ number: Int) -> Nonce { nonce(UInt8(number % 250)) }

private final class Counter: @unchecked Sendable {
  // Used by one test on one thread; the machine only asks for a closure that could be sent.
  private var value = 0
  func next() -> Int {
    defer { value += 1 }
    return value
  }
}
