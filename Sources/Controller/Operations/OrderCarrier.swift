internal import Core
internal import Rollout
internal import Transport
internal import Wire

/// Carries an order to one host: performs what `OrderMachine` decides, over real connections and real time.
struct OrderCarrier: Sendable {
  let connector: any HostConnector
  let endpoint: HostEndpoint
  let target: OrderTarget
  let earlier: OrderClaim
  let order: SealedOrder
  /// For one attempt, connecting included.
  let timeout: Duration
  let gate: Gate
  let begun: ContinuousClock.Instant
  let end: Duration
  let late: Duration
  /// A later order that is for this host and was sent meanwhile.
  let overtaken: @Sendable () async -> Epoch?

  /// An order's answer is short.
  private static let receivedBytes = 256 << 10

  /// - Parameter told: every claim that is another than before.
  func run(_ told: (OrderClaim) -> Void) async {
    var machine = OrderMachine(target: target, earlier: earlier, end: end, late: late)
    var known = earlier
    func tell() {
      guard machine.claim != known else { return }
      known = machine.claim
      told(known)
    }
    var action = machine.start(at: now)
    while true {
      let event: OrderMachine.Event
      switch action {
      case .finish: return tell()
      case .pause(let until):
        tell()
        try? await Task.sleep(until: begun.advanced(by: until), clock: .continuous)
        event = .tick
      case .attempt: event = await attempt()
      }
      action = machine.handle(event, at: now)
      if Task.isCancelled { action = machine.handle(.interrupted, at: now) }
    }
  }

  private var now: Duration { begun.duration(to: .now) }

  /// Only as many hosts are connected to at a time as there is room for; those that wait to be tried again take none.
  private func attempt() async -> OrderMachine.Event {
    await gate.enter()
    let event: OrderMachine.Event
    if Task.isCancelled {
      event = .failed("the run was interrupted before its turn", mayHaveHeard: false)
    } else if let later = await overtaken() {
      event = .overtaken(by: later)
    } else {
      event = await converse()
    }
    await gate.leave()
    return event
  }

  private func converse() async -> OrderMachine.Event {
    var isSent = false
    do {
      var link = try await AgentLink.open(
        endpoint, over: connector, deadline: .now.advanced(by: timeout), receivedBytes: Self.receivedBytes)
      // Connecting may have taken long.
      if let later = await overtaken() {
        await link.close()
        return .overtaken(by: later)
      }
      do {
        try await link.give(order.message())
        isSent = true
        let answer = try await answer(&link)
        await link.close()
        return answer
      } catch {
        await link.close()
        throw error
      }
    } catch let error as AgentLink.OtherVersion {
      return .failed(error.description, mayHaveHeard: false)
    } catch {
      return .failed(SafeText.escape(ErrorChain(error).line), mayHaveHeard: isSent)
    }
  }

  private func answer(_ link: inout AgentLink) async throws -> OrderMachine.Event {
    let greeting = try await link.next()
    if case .refused(nil, let refusal) = greeting {
      // The connection itself: nothing was read of what came with our greeting.
      return .failed(SafeText.escape(refusal.detail), mayHaveHeard: false)
    }
    guard case .hello(let hello) = greeting else { throw Reason("it did not greet us") }
    switch try await link.next() {
    case .obeyed(let obeyed): return .answered(hello, .obeyed(obeyed))
    case .refused(_, let refusal): return .answered(hello, .refused(refusal))
    case .hello, .staged, .applied, .outcome, .done, .report, .text, .observations, .changes:
      throw Reason("it answered another question")
    }
  }
}
