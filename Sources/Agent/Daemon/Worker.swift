internal import Apply
internal import CLinux
internal import Core
internal import Glibc
internal import Synchronization
internal import Wire

/// The one thread that touches the host. It takes jobs one at a time, the urgent ones first and otherwise in the order they
/// came, but for the agent's own that nobody may keep waiting; results come back through a pipe that the event loop polls.
final class Worker: Sendable {
  private struct State {
    var queue: [(job: Job, since: BootTime)] = []
    var results: [JobResult] = []
    var running: Job?
    var isStopping = false
  }

  private let state = Mutex(State())
  /// What waited for so long comes before whatever keeps coming.
  private let overdue: Duration
  /// A byte for each thing the thread should look at.
  private let wakeThread: (reading: Descriptor, writing: Descriptor)
  /// A byte for each result.
  private let wakeLoop: (reading: Descriptor, writing: Descriptor)

  /// Readable when there are results.
  var descriptor: Int32 { wakeLoop.reading.number }

  init(overdue: Duration) throws(SystemCallError) {
    self.overdue = overdue
    wakeThread = try Self.pipe()
    wakeLoop = try Self.pipe()
  }

  /// Starts the thread. From here on only it calls `operations`.
  func start(_ operations: any AgentOperations) throws(SystemCallError) {
    let start = Unmanaged.passRetained(ThreadStart(worker: self, operations: operations))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
        start.worker.run(start.operations)
        return nil
      }, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw SystemCallError("pthread_create", "worker", errno: failure, meaning: String(cString: strerror(failure)))
    }
    pthread_detach(thread)
  }

  func submit(_ job: Job) {
    state.withLock { state in
      let place = state.queue.firstIndex { $0.job.urgency < job.urgency } ?? state.queue.endIndex
      state.queue.insert((job, .now), at: place)
    }
    Self.wake(wakeThread.writing)
  }

  /// An apply is running or waiting.
  var hasApply: Bool { has(\.isApply) }

  var isApplying: Bool { state.withLock { $0.running?.isApply == true } }

  /// An order is being obeyed, or about to be.
  var hasOrder: Bool { has(\.isOrder) }

  private func has(_ kind: (Job) -> Bool) -> Bool {
    state.withLock { state in state.running.map(kind) == true || state.queue.contains { kind($0.job) } }
  }

  var isIdle: Bool { state.withLock { $0.running == nil && $0.queue.isEmpty && $0.results.isEmpty } }

  /// What is done since the last call.
  func takeResults() -> [JobResult] {
    Self.drain(wakeLoop.reading)
    return state.withLock { state in
      defer { state.results = [] }
      return state.results
    }
  }

  /// Forgets a connection's job if it has not begun; false if it runs, is done, or there is none.
  func cancelWaiting(of connection: ConnectionID) -> Bool {
    state.withLock { state in
      let before = state.queue.count
      state.queue.removeAll { $0.job.connection == connection }
      return state.queue.count < before
    }
  }

  /// Ends the thread when the running job, if any, is done.
  func stop() {
    state.withLock { state in
      state.isStopping = true
      state.queue = []
    }
    Self.wake(wakeThread.writing)
  }

  private func run(_ operations: any AgentOperations) {
    while true {
      var waiting = pollfd(fd: wakeThread.reading.number, events: Int16(POLLIN), revents: 0)
      poll(&waiting, 1, -1)
      Self.drain(wakeThread.reading)
      while let job = next() {
        let before = SpentTime.byThisThreadAndPrograms
        let end = Self.perform(job, operations)
        let result = JobResult(
          end: end, confirmBy: operations.confirmBy, lockDue: operations.lockDue, isBehind: operations.isBehind,
          cost: SpentTime.byThisThreadAndPrograms - before)
        state.withLock { state in
          state.running = nil
          state.results.append(result)
        }
        Self.wake(wakeLoop.writing)
      }
      if state.withLock({ $0.isStopping }) { return }
    }
  }

  private func next() -> Job? {
    state.withLock { state in
      state.running = state.queue.isEmpty ? nil : state.queue.remove(at: nextIndex(state.queue)).job
      return state.running
    }
  }

  private func nextIndex(_ queue: [(job: Job, since: BootTime)]) -> Int {
    // A change whose time is over is taken back before anything else.
    if case .expire = queue[0].job { return 0 }
    let now = BootTime.now
    return queue.firstIndex { $0.job.isOwn && now - $0.since >= overdue } ?? 0
  }

  private static func perform(_ job: Job, _ operations: any AgentOperations) -> JobResult.End {
    switch job {
    case .expire(let order):
      // A confirmation that was under way may have been in time, and the next change have begun to wait.
      guard let confirmBy = operations.confirmBy, order.due.map({ confirmBy <= $0 }) ?? true else {
        return .nothingToExpire
      }
      return .expired(because: order.why, operations.expire(because: order.why))
    case .tendLock: return .tendedLock(mayMoveRules: operations.lockTick())
    case .look(let actors, let isWatched, _): return .looked(look(for: actors, isWatched, operations))
    case .keepChanges:
      try? operations.keepChanges()
      return .keptChanges(operations.changes)
    case .work(let work, let connection): return .answered(perform(work, operations), connection)
    }
  }

  private static func look(
    for actors: [HostChange.Actor], _ isWatched: Bool, _ operations: any AgentOperations
  ) -> JobResult.Looked {
    // Whoever confirms it must not wait for us.
    guard operations.confirmBy == nil else { return .later }
    do throws(Refusal) {
      let isAnnounced = try operations.look(for: actors)
      // One that cannot be made durable is told of all the same.
      if isWatched { try? operations.keepChanges() }
      return .saw(operations.changes, isAnnounced: isAnnounced)
    } catch {
      return .failed(error)
    }
  }

  private static func perform(_ work: Work, _ operations: any AgentOperations) -> Answer {
    switch work {
    case .check(let files):
      .checked(Result { () throws(Refusal) in try operations.check(files) })
    case .apply(let transaction, let files, let manifest, let terms, let connection):
      .applied(
        Result { () throws(Refusal) in
          try operations.apply(
            files, transaction: transaction, manifest: manifest, terms: terms, from: connection)
        })
    case .confirm(let confirmation, let connection):
      .confirmed(Result { () throws(Refusal) in try operations.confirm(confirmation, from: connection) })
    case .cancel(let transaction): .cancelled(Result { () throws(Refusal) in try operations.cancel(transaction) })
    case .local(let order): .obeyed(order, Result { () throws(Refusal) in try operations.obey(order) })
    case .order(let delivery, let connection):
      .ordered(Result { () throws(Refusal) in try operations.obey(delivery, from: connection) })
    case .report(let nonce, let source):
      .reported(Result { () throws(Refusal) in try operations.report(nonce, managementSource: source) })
    case .text(let request): .text(Result { () throws(Refusal) in try operations.text(request) })
    case .observe: .observed(Result { () throws(Refusal) in try operations.observe() })
    }
  }

  private static func pipe() throws(SystemCallError) -> (reading: Descriptor, writing: Descriptor) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { throw .last("pipe", "worker") }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
  }

  /// A full pipe is as good a reason to look as one more byte.
  private static func wake(_ descriptor: Descriptor) { _ = Nonblocking.write(descriptor.number, [0]) }

  private static func drain(_ descriptor: Descriptor) {
    var buffer = [UInt8](repeating: 0, count: 256)
    while case .bytes = Nonblocking.read(descriptor.number, into: &buffer) {}
  }
}

/// What is handed to the thread.
private final class ThreadStart {
  let worker: Worker
  let operations: any AgentOperations

  init(worker: Worker, operations: any AgentOperations) {
    self.worker = worker
    self.operations = operations
  }
}
