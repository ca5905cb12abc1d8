internal import Core
internal import Rollout
internal import Synchronization
internal import Transport
internal import Wire

/// Carries one bundle to one host: performs what `DeliveryMachine` decides, over real connections and real time.
struct Courier: Sendable {
  let connector: any HostConnector
  let endpoint: HostEndpoint
  let target: DeliveryMachine.Target
  let files: [BundleFile: [UInt8]]
  let timeout: Duration
  /// Where in the policies a line of the bundle's rules comes from.
  let source: @Sendable (RuleLocation) -> SourceLocation?

  private enum Order: Sendable {
    case stage
    case apply
    case confirm(ChangeConfirmation)
    case askReport(Nonce)
  }

  /// Ends in time, whatever the host does: within the timeout, or some time after the host must have gone back by itself.
  func deliver() async -> Delivered {
    let afterwards = Mutex<Report?>(nil)
    let (host, fleet) = (target.host, target.fleet)
    let result = await run { report in
      // A host speaks for itself alone.
      if report.host == host, report.fleet == fleet { afterwards.withLock { $0 = report } }
    }
    return Delivered(result: result, report: afterwards.withLock { $0 })
  }

  struct Delivered: Sendable {
    let result: DeliveryResult
    /// What the host said of itself right after it committed, or what made this the result.
    let report: Report?
  }

  private func run(_ keep: @escaping @Sendable (Report) -> Void) async -> DeliveryResult {
    let start = ContinuousClock.now
    var machine = DeliveryMachine(target: target, deadline: timeout)
    let end = start.advanced(by: machine.latestEnd)
    // Events carry the number of the connection they come from; those of an abandoned one are dropped.
    let (events, sink) = AsyncStream.makeStream(of: (connection: Int, event: DeliveryMachine.Event).self)
    let ticks = -1
    var current = 0
    var conversation: Task<Void, Never>?
    var orders: AsyncStream<Order>.Continuation?
    var timer: Task<Void, Never>?
    defer {
      conversation?.cancel()
      timer?.cancel()
    }

    func perform(_ actions: [DeliveryMachine.Action]) -> DeliveryResult? {
      for action in actions {
        switch action {
        case .connect:
          conversation?.cancel()
          current += 1
          let number = current
          let (stream, continuation) = AsyncStream.makeStream(of: Order.self)
          orders = continuation
          conversation = Task { await converse(stream, until: end, keep: keep) { sink.yield((number, $0)) } }
        case .greet: break  // Opening the conversation says hello.
        case .stage: orders?.yield(.stage)
        case .apply: orders?.yield(.apply)
        case .confirm(let confirmation): orders?.yield(.confirm(confirmation))
        case .askReport(let nonce): orders?.yield(.askReport(nonce))
        case .wakeUp(let moment):
          timer?.cancel()
          timer = Task {
            try? await Task.sleep(until: start.advanced(by: moment), clock: .continuous)
            if !Task.isCancelled { sink.yield((ticks, .tick)) }
          }
        case .disconnect:
          orders?.finish()
          conversation?.cancel()
        case .finish(let result): return result
        }
      }
      return nil
    }

    return await withTaskCancellationHandler {
      var result = perform(machine.start())
      var arriving = events.makeAsyncIterator()
      while result == nil {
        guard let (number, event) = await arriving.next() else {
          result = perform(machine.cancel())
          break
        }
        guard number == ticks || number == current else { continue }
        result = perform(machine.handle(event, at: start.duration(to: .now)))
        if result != nil, case .report(let report) = event { keep(report) }
      }
      return result ?? .unknown("the run was interrupted")
    } onCancel: {
      sink.finish()
    }
  }

  /// One connection: says what it is told to, and what it hears.
  private func converse(
    _ orders: AsyncStream<Order>, until deadline: ContinuousClock.Instant, keep: @Sendable (Report) -> Void,
    hear: @escaping @Sendable (DeliveryMachine.Event) -> Void
  ) async {
    do {
      var link = try await AgentLink.open(endpoint, over: connector, deadline: deadline)
      hear(.connected)
      do {
        try await talk(&link, orders, keep, hear)
      } catch {
        await link.close()
        throw error
      }
      await link.close()
    } catch {
      hear(.transportFailed(ErrorChain(error).line))
    }
  }

  /// Each order gets exactly one answer, so hearing and saying take turns.
  private func talk(
    _ link: inout AgentLink, _ orders: AsyncStream<Order>, _ keep: @Sendable (Report) -> Void,
    _ hear: @Sendable (DeliveryMachine.Event) -> Void
  ) async throws {
    try await hearOne(&link, hear)
    for await order in orders {
      switch order {
      case .stage: try await link.stage(target.transaction, files)
      case .apply:
        try await link.apply(target.transaction, manifest: target.manifest, target.terms)
        let answer = try await link.next()
        // A change that is to be confirmed must not wait for a report; one that ended is followed by it.
        if case .applied = answer, !target.terms.isManual {
          try tell(answer, hear)
          continue
        }
        try await link.askReport(.random())
        await keepNext(&link, keep)
        try tell(answer, hear)
        continue
      case .confirm(let confirmation):
        // The report is asked for in the same breath, so that a status right after an apply knows what it found.
        try await link.confirm(confirmation)
        try await link.askReport(.random())
        let answer = try await link.next()
        if case .outcome = answer { await keepNext(&link, keep) }
        try tell(answer, hear)
        continue
      case .askReport(let nonce): try await link.askReport(nonce)
      }
      try await hearOne(&link, hear)
    }
  }

  private func keepNext(_ link: inout AgentLink, _ keep: @Sendable (Report) -> Void) async {
    // Without it only the host's last words are older: what came of the delivery is known already.
    if case .report(let report)? = try? await link.next() { keep(report) }
  }

  private func hearOne(_ link: inout AgentLink, _ hear: @Sendable (DeliveryMachine.Event) -> Void) async throws {
    try tell(try await link.next(), hear)
  }

  private func tell(_ event: ControllerEvent, _ hear: @Sendable (DeliveryMachine.Event) -> Void) throws {
    switch event {
    case .hello(let hello): hear(.hello(hello))
    case .staged(let transaction): hear(.staged(transaction, manifest: target.manifest))
    case .applied(let change): hear(.applied(change))
    case .outcome(let outcome): hear(.outcome(outcome))
    case .report(let report): hear(.report(report))
    case .refused(_, var refusal):
      if let location = refusal.location.flatMap(source) { refusal.detail = "\(location): \(refusal.detail)" }
      hear(.refused(refusal))
    case .done, .text, .observations, .changes, .obeyed: throw Reason("it sent an answer nobody asked for")
    }
  }
}
