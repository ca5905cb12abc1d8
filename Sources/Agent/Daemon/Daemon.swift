package import Apply
internal import Core
internal import Glibc
internal import Wire

/// The agent's event loop: one thread that polls the unix socket, its connections, the worker's results and the request
/// to stop. It sleeps without a limit when no deadline is near, and never waits for a peer. A change that waits to be
/// confirmed is taken back at its deadline whatever became of the connection it came over.
package final class Daemon {
  let configuration: Configuration
  private let operations: any AgentOperations
  let hello: AgentHello
  private let lock: InstanceLock
  let worker: Worker
  private let clock: BootTimer

  var listener: Descriptor?
  var connections: [Connection] = []
  var nextID: ConnectionID = 1
  /// One buffer for all reads: what is read is taken out before the next read.
  private var buffer = [UInt8](repeating: 0, count: 64 << 10)
  /// When to listen again after accepting failed for want of descriptors.
  var acceptAgain: BootTime?
  private var isStopping = false
  private var timer = ConfirmationTimer()
  private var lockTimer = LockTimer()
  private let listen: (() throws -> any ChangeWatcher)?
  /// Nil before the host is in a known state.
  private var watching: Watching?
  /// Since then there was an order to obey at every turn.
  private var orderedSince: BootTime?
  /// Where the change that waits came from, for the record.
  private var changedFrom = ""
  /// Turns of the loop so far: one that sleeps makes few.
  package private(set) var turns = 0

  /// Takes the instance lock. `operations` belongs to the daemon's worker from `run` on.
  ///
  /// - Parameter listen: nil where the kernel announces no changes. What cannot be listened to now is tried again.
  package init(
    _ configuration: Configuration, operations: any AgentOperations, listen: (() throws -> any ChangeWatcher)? = nil
  ) throws {
    self.configuration = configuration
    self.listen = listen
    self.operations = operations
    hello = AgentHello(
      version: ProtocolVersion.current, agentVersion: configuration.version, host: operations.host,
      fleet: operations.fleet)
    lock = try InstanceLock(in: configuration.directory)
    worker = try Worker(overdue: configuration.limits.overdueLook)
    clock = try BootTimer()
  }

  /// Brings the host to a known state, then serves until `stop` can be read; a running apply is finished first, and a
  /// change that waits to be confirmed is taken back. `ready` is called when connections are taken.
  package func run(stop: Int32, ready: () -> Void = {}) throws {
    try operations.recover()
    timer.learned(operations.confirmBy)
    lockTimer.learned(operations.lockDue)
    watching = Watching(listen, configuration, log: operations.changes, now: .now)
    let access = UnixSocket.Access(
      mode: configuration.group == nil ? 0o600 : 0o660, group: configuration.group)
    listener = try UnixSocket.listen(at: configuration.socket, access: access)
    defer { unlink(configuration.socket) }
    if let listener { try UnixSocket.setNonblocking(listener, configuration.socket) }
    try worker.start(operations)
    defer { worker.stop() }
    ready()
    while !(isStopping && connections.isEmpty && worker.isIdle) { try turn(stop) }
  }

  // MARK: One turn of the loop

  private enum Source {
    case stop
    case clock
    case worker
    case listener
    case watcher
    case connection(ConnectionID)
  }

  private func turn(_ stop: Int32) throws {
    turns += 1
    orderedSince = worker.hasOrder ? orderedSince ?? .now : nil
    try clock.set(to: nextDeadline())
    var sources: [Source] = [.worker, .clock]
    var polled = [worker.descriptor, clock.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    if !isStopping {
      sources.append(.stop)
      polled.append(pollfd(fd: stop, events: Int16(POLLIN), revents: 0))
    }
    if let listener, acceptAgain == nil {
      sources.append(.listener)
      polled.append(pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0))
    }
    // What an apply or an order announces is its own; whatever else is among it waits for the look that follows.
    if let descriptor = watching?.descriptor, !isStopping, !isHeldUp {
      sources.append(.watcher)
      polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
    }
    for connection in connections {
      guard let socket = connection.socket else { continue }
      var events: Int32 = 0
      if connection.wantsInput { events |= POLLIN }
      if connection.wantsOutput { events |= POLLOUT }
      sources.append(.connection(connection.id))
      polled.append(pollfd(fd: socket.number, events: Int16(events), revents: 0))
    }
    if poll(&polled, nfds_t(polled.count), -1) < 0 {
      guard errno == EINTR else { throw SystemCallError.last("poll", configuration.socket) }
      return
    }
    for (source, result) in zip(sources, polled) where result.revents != 0 {
      switch source {
      case .stop: beginStopping()
      // What is due is looked for below, in every turn.
      case .clock: break
      case .worker: worker.takeResults().forEach(deliver)
      case .listener: accept()
      case .watcher: watching?.announced(at: .now)
      case .connection(let id): serve(id, Int32(result.revents))
      }
    }
    if let order = timer.order(at: .now) { worker.submit(.expire(order)) }
    if !isStopping, lockTimer.isDue(at: .now) { worker.submit(.tendLock) }
    endOverdue()
    if !isStopping { watch() }
    let hadConnections = !connections.isEmpty
    connections.removeAll(where: \.isOver)
    if hadConnections, connections.isEmpty { UnusedMemory.release() }
  }

  private func nextDeadline() -> BootTime? {
    let lock = isStopping ? nil : lockTimer.deadline
    let own = [acceptAgain, timer.deadline, lock, isStopping ? nil : watching?.deadline(isHeldUp: isHeldUp)]
    // Who waits for what is being written is not told before that, whatever the time.
    let watches = watching?.isWriting == true ? [] : connections.map { $0.watch?.until }
    return (connections.map { $0.deadline?.at } + watches + own).compactMap { $0 }.min()
  }

  private func serve(_ id: ConnectionID, _ events: Int32) {
    let now = BootTime.now
    if events & POLLOUT != 0 { with(id) { connection, room in connection.write(room: room, now: now) } }
    if events & (POLLIN | POLLHUP | POLLERR) != 0 {
      with(id) { connection, room in
        if connection.wantsInput { return connection.read(into: &buffer, room: room, now: now) }
        if events & (POLLHUP | POLLERR) != 0 { connection.drop() }
        return nil
      }
    }
  }

  private func deliver(_ result: JobResult) {
    if case .tendedLock = result.end {
      lockTimer.done(result.lockDue, at: .now)
    } else {
      lockTimer.learned(result.lockDue)
    }
    switch result.end {
    case .answered(let answer, let id):
      timer.learned(result.confirmBy)
      note(answer, from: id)
      if answer.mayMoveRules || result.isBehind { watching?.acted(at: .now) }
      if answer.hasReadBack { watching?.readBack(at: .now) }
      with(id) { connection, room in connection.finish(answer, room: room, now: .now) }
      if isStopping { sendAway(id) }
    case .expired(let why, let end):
      timer.expired(result.confirmBy, at: .now)
      watching?.acted(at: .now)
      if let end { configuration.log(Notes.expired(because: why, end, from: changedFrom)) }
    case .tendedLock(let mayMoveRules): if mayMoveRules { watching?.acted(at: .now) }
    case .nothingToExpire: timer.expired(result.confirmBy, at: .now)
    case .looked(let looked):
      let problem = watching?.lastProblem
      watching?.looked(looked, cost: result.cost, at: .now)
      // Whoever waits for the next change may wait for days.
      UnusedMemory.release()
      if let now = watching?.lastProblem, now != problem {
        configuration.log(SafeText.escape("changes of the rules go unnoticed: \(now)"))
      }
    case .keptChanges(let log): watching?.kept(log, at: .now)
    }
  }

  /// A change that is loaded, or about to be, comes before looking at others; orders do, and what waits behind them, but not
  /// for ever.
  private var isHeldUp: Bool {
    timer.isBusy || worker.isApplying || (worker.hasApply || worker.hasOrder) && !mustLook
  }

  private var mustLook: Bool {
    let isLong = orderedSince.map { .now - $0 >= configuration.limits.overdueLook } ?? false
    return isLong || watching?.isOverdue(at: .now) == true
  }

  /// Looks for changes where it is time to, and answers who waits for them.
  private func watch() {
    let isWatched = connections.contains { $0.watch != nil }
    let (isHeldUp, isUrgent) = (isHeldUp, mustLook)
    watching?.jobs(at: .now, isHeldUp: isHeldUp, isWatched: isWatched, isUrgent: isUrgent).forEach(worker.submit)
    guard isWatched else { return }
    for connection in connections {
      guard let watch = connection.watch, let changes = watching?.answer(watch, at: .now) else { continue }
      with(connection.id) { connection, room in connection.tell(changes, room: room, now: .now) }
    }
  }

  func note(_ answer: Answer, from id: ConnectionID) {
    let source = connections.first { $0.id == id }?.source ?? ""
    if case .applied(.success(.applied)) = answer { changedFrom = source }
    if let line = Notes.line(answer, from: source) { configuration.log(line) }
  }

  /// Does something with a connection, and what the connection then wants done.
  func with(_ id: ConnectionID, _ event: (inout Connection, Int) -> Work?) {
    guard let index = connections.firstIndex(where: { $0.id == id }) else { return }
    let others = connections.reduce(0) { $0 + ($1.id == id ? 0 : $1.reservedBytes) }
    let room = configuration.limits.stagedBytes - others
    var work = event(&connections[index], room)
    while let wanted = work {
      work = nil
      if connections[index].socket == nil {
        connections[index].forgetWork()
      } else if isStopping {
        connections[index].forgetWork()
        connections[index].end(Refusal(code: .busy, detail: "the agent is stopping"), now: .now)
      } else if let answer = refuse(wanted, of: connections[index]) {
        work = connections[index].finish(answer, room: room, now: .now)
      } else {
        worker.submit(.work(wanted, for: id))
      }
    }
    if connections[index].socket == nil, connections[index].isWorking, worker.cancelWaiting(of: id) {
      connections[index].forgetWork()
    }
  }

  private func endOverdue() {
    let now = BootTime.now
    if let again = acceptAgain, again <= now { acceptAgain = nil }
    for connection in connections {
      guard let deadline = connection.deadline, deadline.at <= now else { continue }
      with(connection.id) { connection, _ in
        connection.end(Refusal(code: .busy, detail: "closed: \(deadline.why) in time"), now: now)
        return nil
      }
    }
  }

  /// No new connections and no new work; what runs is finished and answered. What waits to be confirmed cannot be any more.
  private func beginStopping() {
    configuration.log("stopping" + (worker.isIdle ? "" : " when the running job is done"))
    isStopping = true
    timer.stop()
    watching?.lastJobs.forEach(worker.submit)
    listener = nil
    for connection in connections { sendAway(connection.id) }
  }

  /// Ends a connection because the agent stops, unless its job runs: that is answered first.
  private func sendAway(_ id: ConnectionID) {
    with(id) { connection, _ in
      if connection.isWorking, !worker.cancelWaiting(of: id) { return nil }
      connection.forgetWork()
      connection.end(Refusal(code: .busy, detail: "the agent is stopping"), now: .now)
      return nil
    }
  }
}
