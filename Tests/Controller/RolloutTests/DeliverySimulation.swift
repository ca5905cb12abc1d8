import Core
import TestSupport
import Wire

@testable import Rollout

/// What may go wrong, in percent of the occasions.
struct Weather: Sendable {
  /// A message vanishes, and its connection breaks or hangs.
  var loss = 0
  var duplication = 0
  var longestDelay = 50
  var leakFromOldConnections = 0
  var forgery = 0
  /// The daemon is killed, or the host's power goes.
  var hostCrash = 0
  /// The command is killed, and the same one run again later.
  var controllerCrash = 0
  var connectionAttempts = 2
  /// The new rules let no new connection in.
  var cutsManagement = false
  /// … nor anything over an old one.
  var cutsEverything = false
  var hostMayRefuse = true
  var seconds: UInt16 = 60
  /// After this, nothing goes wrong any more.
  var healsAt: Duration = .seconds(1_000_000)
  /// The caller hands in what it promised to.
  var isHonest: Bool { leakFromOldConnections == 0 && forgery == 0 }
}

/// One delivery, or two when the controller dies, in virtual time.
struct DeliverySimulation {
  private enum Arrival {
    case atHost(DeliveryMachine.Action, connection: Int)
    case atController(DeliveryMachine.Event, connection: Int)
    case wakeUp(Int)
    case programsDone
    case hostStarts
    case controllerStarts
  }

  let weather: Weather
  let terms: ConfirmationTerms
  private(set) var host = SimulatedHost()
  private(set) var result: DeliveryResult?
  private(set) var finishes = 0
  private(set) var finishedAt: Duration = .zero
  private(set) var startedAt: Duration = .zero
  private(set) var committedThen: Digest?
  private(set) var transaction = ours
  private(set) var steps = 0
  private(set) var crashes = 0
  private var machine: DeliveryMachine
  private var random: Random
  private var queue: [(at: Duration, order: Int, arrival: Arrival)] = []
  private var order = 0
  private var connection = 0
  private var alarm = 0
  private var now: Duration = .zero
  private var healthy = false

  init(seed: UInt64, _ weather: Weather, deadline: Duration = .seconds(60)) {
    self.weather = weather
    random = Random(seed: seed)
    terms = ConfirmationTerms(seconds: weather.seconds, isManual: false)
    host.mayRefuse = weather.hostMayRefuse
    machine = Self.machine(ours, terms, deadline, weather, after: seed)
    run(deadline)
  }

  private static func machine(
    _ transaction: TransactionID, _ terms: ConfirmationTerms, _ deadline: Duration, _ weather: Weather,
    after seed: UInt64
  ) -> DeliveryMachine {
    let counter = Counter()
    return DeliveryMachine(
      target: .init(
        host: h001, fleet: fleet, transaction: transaction, manifest: wanted, premise: premise, terms: terms),
      deadline: deadline, limits: .init(connectionAttempts: weather.connectionAttempts)
    ) { nonces[counter.next() % 100] }
  }

  var latestEnd: Duration { machine.latestEnd }

  private mutating func run(_ deadline: Duration) {
    perform(machine.start())
    while !queue.isEmpty, steps < 4_000 {
      steps += 1
      var next = 0
      for index in queue.indices.dropFirst()
      where (queue[index].at, queue[index].order) < (queue[next].at, queue[next].order) { next = index }
      let item = queue.remove(at: next)
      now = item.at
      healthy = now >= weather.healsAt
      if !host.isDown { host.advance(to: now) }
      switch item.arrival {
      case .wakeUp(let number): if number == alarm { perform(machine.handle(.tick, at: now - startedAt)) }
      case .atController(let event, let source): hear(event, from: source)
      case .atHost(let message, let source): deliver(message, on: source)
      case .programsDone: if let (event, source) = host.appliedNow(at: now, &random) { send(event, on: source) }
      case .hostStarts: host.start()
      case .controllerStarts:
        transaction = theirs
        startedAt = now
        machine = Self.machine(theirs, terms, deadline, weather, after: 0)
        perform(machine.start())
      }
      if !healthy, random.chance(weather.forgery) { forge() }
      if !healthy, !host.isDown, random.chance(weather.hostCrash) {
        host.crash(&random)
        crashes += 1
        push(.hostStarts, after: 20_000)
      }
      if !healthy, transaction == ours, result == nil, random.chance(weather.controllerCrash) {
        connection += 1
        alarm += 1
        crashes += 1
        transaction = theirs
        push(.controllerStarts, after: 90_000)
      }
    }
    if !host.isDown { host.advance(to: now + .seconds(1_000)) }
  }

  private mutating func push(_ arrival: Arrival, after milliseconds: Int) {
    push(arrival, at: now + .milliseconds(1 + random.below(max(1, milliseconds))))
  }

  private mutating func push(_ arrival: Arrival, at moment: Duration) {
    order += 1
    queue.append((moment, order, arrival))
  }

  private var delay: Int { healthy ? min(50, weather.longestDelay) : weather.longestDelay }

  /// What is lost on a connection ends it, sooner or later, or nobody ever hears of it again.
  private mutating func lose(on connection: Int) {
    if random.chance(80) { push(.atController(.transportFailed("reset"), connection: connection), after: 20_000) }
  }

  private mutating func send(_ event: DeliveryMachine.Event, on connection: Int) {
    if weather.cutsEverything, host.loaded == wanted { return }
    if !healthy, random.chance(weather.loss) { return lose(on: connection) }
    push(.atController(event, connection: connection), after: delay)
    if !healthy, random.chance(weather.duplication) {
      push(.atController(event, connection: connection), after: delay * 3)
    }
  }

  /// No transport repeats a request on its own: repeating is left to the machine.
  private mutating func send(_ message: DeliveryMachine.Action, on connection: Int) {
    if !healthy, random.chance(weather.loss) { return lose(on: connection) }
    push(.atHost(message, connection: connection), after: delay)
  }

  private mutating func deliver(_ message: DeliveryMachine.Action, on source: Int) {
    guard !host.isDown else { return lose(on: source) }
    if host.loaded == wanted, weather.cutsEverything || weather.cutsManagement && message == .connect { return }
    if message == .connect {
      host.connect(source)
      return send(.connected, on: source)
    }
    switch host.answer(message, of: transactions[source] ?? ours, terms, on: source, at: now, &random) {
    case .now(let event): send(event, on: source)
    case .after(let time): push(.programsDone, at: now + time)
    case .closed: send(.transportFailed("closed"), on: source)
    }
  }

  /// Which delivery a connection belongs to.
  private var transactions: [Int: TransactionID] = [:]

  private mutating func hear(_ event: DeliveryMachine.Event, from source: Int) {
    guard source == connection || random.chance(weather.leakFromOldConnections) else { return }
    perform(machine.handle(event, at: now - startedAt))
  }

  private mutating func forge() {
    let forged: [DeliveryMachine.Event] = [
      .outcome(outcome(.committed, transaction: TransactionID(bytes: nonce(9).bytes.prefix(16))!)),
      .staged(TransactionID(bytes: nonce(9).bytes.prefix(16))!, manifest: wanted),
      .report(makeReport(nonce(255), manifest: wanted)), .hello(hello), .connected, .tick,
    ]
    perform(machine.handle(forged[random.below(forged.count)], at: now - startedAt))
  }

  private mutating func perform(_ actions: [DeliveryMachine.Action]) {
    for action in actions {
      switch action {
      case .connect:
        connection += 1
        if transaction == theirs { transactions[connection] = theirs }
        send(.connect, on: connection)
      case .greet, .stage, .apply, .confirm, .askReport: send(action, on: connection)
      case .wakeUp(let moment):
        alarm += 1
        push(.wakeUp(alarm), at: max(now, moment + startedAt))
      case .disconnect: connection += 1
      case .finish(let result):
        finishes += 1
        self.result = result
        committedThen = host.committed
        finishedAt = now - startedAt
      }
    }
  }

  /// Nil when everything that was promised held.
  var violation: String? {
    guard finishes == 1, let result, steps < 4_000 else { return "it ended \(finishes) times after \(steps) steps" }
    if finishedAt > latestEnd { return "it ended at \(finishedAt)" }
    if host.pending != nil || host.loaded != host.committed { return "the host is between two bundles" }
    switch result {
    case .current:
      if committedThen != wanted || host.committed != wanted { return "false current" }
    case .reverted:
      if host.recorded[transaction]?.result != .reverted { return "false reverted" }
    case .failed(_, nil):
      if host.recorded[transaction]?.result != .failed, !machineMayDistrust { return "false failed" }
    case .failed(_, _?):
      if host.recorded[transaction]?.result == .committed, weather.isHonest { return "false failed" }
    case .unreachable:
      if host.toldToApply.contains(transaction), weather.isHonest { return "it was told to apply" }
    case .awaiting: return "nobody was to confirm it by hand"
    case .stale: return "nobody else committed anything there"
    case .unknown: break
    }
    if weather.cutsManagement || weather.cutsEverything {
      if host.committed == wanted { return "a host without a way in was committed" }
    } else if weather.loss == 0, crashes == 0, weather.isHonest, !weather.hostMayRefuse,
      result != .current(touched: true)
    {
      return "healthy, and \(result)"
    }
    return nil
  }

  /// The worst that can be claimed: that the host runs what it does not.
  var isFalseSuccess: Bool {
    guard case .current? = result else { return false }
    return committedThen != wanted || host.committed != wanted
  }

  /// It did not end, or a host was left between two bundles.
  var isStuck: Bool {
    finishes != 1 || result == nil || steps >= 4_000 || finishedAt > latestEnd || host.pending != nil
      || host.loaded != host.committed
  }

  /// It staged other bytes than were sent.
  private var machineMayDistrust: Bool { weather.hostMayRefuse }
}

private final class Counter: @unchecked Sendable {
  // Used by one simulation on one thread; the machine only asks for a closure that could be sent.
  private var value = 0
  func next() -> Int {
    defer { value += 1 }
    return value
  }
}
