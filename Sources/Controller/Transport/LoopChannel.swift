internal import Core

/// One program on a host, on its loop's thread: who waits for what of it. Each waiter is answered exactly once.
final class LoopChannel: ChannelUser {
  typealias Answer<Value> = (Result<Value, TransportError>) -> Void

  /// One packet's worth. libssh encrypts into buffers that never shrink: after 32 KiB writes a session keeps 192 KiB,
  /// after these a quarter of it.
  static let writeSize = 8 << 10
  /// libssh opens a window of 1.25 MiB and keeps whatever a host sends beyond it. With each piece that is read it opens
  /// the window anew, whatever it still holds: so all of it is read at once, or an honest host would come to hold more.
  static let maximumUnread = 4 << 20

  private enum Phase {
    case opening
    case requesting
    case running
    case ended(TransportError)
  }

  private enum Output {
    case bytes(ArraySlice<UInt8>, Answer<Void>)
    case end(Answer<Void>)
  }

  let id: UInt64
  private let core: LoopCore
  private let command: String?
  private let host: String
  private weak var connection: Connection?
  private var channel: SSHChannel?
  private var phase = Phase.opening
  private var timer: UInt64 = 0
  private var started: Answer<Void>?
  private var reader: Answer<[UInt8]?>?
  private var output: [Output] = []
  private var exitWaiters: [Answer<Int32?>] = []
  private var isOutputAtEnd = false
  private var isErrorAtEnd = false
  private(set) var standardError: [UInt8] = []
  private var finalStatus: Int32??

  init(id: UInt64, connection: Connection, command: String?, started: @escaping Answer<Void>) {
    self.id = id
    core = connection.core
    host = connection.endpoint.name
    self.connection = connection
    self.command = command
    self.started = started
  }

  func start(deadline: ContinuousClock.Instant) {
    core.channels[id] = self
    guard let channel = connection?.makeChannel(for: self) else {
      return fail(.unreachable, "the connection is closed")
    }
    self.channel = channel
    core.channelStarted()
    timer = core.schedule(at: deadline) { [weak self] in
      self?.fail(.deadline, "the program did not finish before its deadline")
    }
    serve()
    connection?.flush()
  }

  // MARK: Requests

  func read(_ answer: @escaping Answer<[UInt8]?>) {
    if case .ended(let error) = phase { return answer(.failure(error)) }
    // The channel may be given back already: then nothing will ever wake this reader.
    if isOutputAtEnd { return answer(.success(nil)) }
    guard reader == nil else {
      return answer(.failure(TransportError(.cancelled, host: host, "two reads of one channel at the same time")))
    }
    guard !isOutputAtEnd else { return answer(.success(nil)) }
    reader = answer
    serve()
    connection?.flush()
  }

  func write(_ bytes: [UInt8], _ answer: @escaping Answer<Void>) {
    guard !bytes.isEmpty else { return answer(.success(())) }
    enqueue(.bytes(bytes[...], answer))
  }

  func finishWriting(_ answer: @escaping Answer<Void>) { enqueue(.end(answer)) }

  private func enqueue(_ item: Output) {
    if case .ended(let error) = phase {
      switch item {
      case .bytes(_, let answer), .end(let answer): return answer(.failure(error))
      }
    }
    guard channel != nil else {
      // The program ended and its channel is given back; what it wrote can still be asked for.
      let error = TransportError(.unreachable, host: host, "the program takes no more input: it has ended")
      switch item {
      case .bytes(_, let answer): return answer(.failure(error))
      case .end(let answer): return answer(.success(()))
      }
    }
    output.append(item)
    // Released already, after the host closed it.
    if channel == nil {
      _ = inputClosed()
    } else if output.count == 1 {
      serve()
      connection?.flush()
    }
  }

  func exitStatus(_ answer: @escaping Answer<Int32?>) {
    if let finalStatus { return answer(.success(finalStatus)) }
    if case .ended(let error) = phase { return answer(.failure(error)) }
    exitWaiters.append(answer)
  }

  // MARK: Progress

  func serve() {
    guard let channel else { return }
    switch phase {
    case .ended: return
    case .opening:
      switch channel.open() {
      case .again: return
      case .failed: return notStarted("no channel")
      case .done:
        phase = .requesting
        request(channel)
      }
    case .requesting: request(channel)
    case .running: move(channel)
    }
  }

  private func request(_ channel: SSHChannel) {
    switch channel.request(command: command) {
    case .again: return
    case .failed: return notStarted("the program was not started")
    case .done:
      phase = .running
      let started = started
      self.started = nil
      started?(.success(()))
      move(channel)
    }
  }

  private func notStarted(_ what: String) {
    guard let connection, let session = connection.session, !session.isBroken else { return }
    fail(
      .protocolViolation, "\(what): \(session.errorText)",
      hint: "sshd limits the sessions of one connection (MaxSessions) and what a key may run")
  }

  private func move(_ channel: SSHChannel) {
    guard drainError(channel), moveOutput(channel), moveInput(channel) else { return }
    if let status = channel.exitStatus, finalStatus == nil { settle(status) }
    if channel.isClosedByHost {
      if finalStatus == nil { settle(nil) }
      if isOutputAtEnd, isErrorAtEnd, output.isEmpty { release() }
    }
    connection?.settle(id, output.isEmpty)
  }

  private func settle(_ status: Int32?) {
    finalStatus = .some(status)
    let waiters = exitWaiters
    exitWaiters = []
    for waiter in waiters { waiter(.success(status)) }
  }

  /// Always, whoever reads: a full window of standard error would stop the program.
  private func drainError(_ channel: SSHChannel) -> Bool {
    guard let connection else { return false }
    for _ in 0..<16 where !isErrorAtEnd {
      switch channel.read(.error, atMost: Self.maximumUnread) {
      case .again: return true
      case .failed: return connectionFailed()
      case .done(nil): isErrorAtEnd = true
      case .done(.some(let bytes)):
        guard connection.count(bytes.count) else { return false }
        standardError += bytes.prefix(max(0, connection.limits.standardErrorBytes - standardError.count))
      }
    }
    return true
  }

  private func moveOutput(_ channel: SSHChannel) -> Bool {
    guard let connection else { return false }
    guard !isOutputAtEnd else { return true }
    switch channel.available(.output) {
    case .again: return true
    case .failed: return connectionFailed()
    case .done(nil):
      isOutputAtEnd = true
      answerReader(.success(nil))
      return true
    case .done(.some(let count)):
      guard reader != nil else {
        // Left where it is, so that the host's window shuts; what comes all the same is counted and bounded.
        guard connection.count(0, buffered: count) else { return false }
        if count > Self.maximumUnread {
          connection.fail(.protocolViolation, "it sends more than its window allows")
          return false
        }
        return true
      }
    }
    switch channel.read(.output, atMost: Self.maximumUnread) {
    case .again: return true
    case .failed: return connectionFailed()
    case .done(nil):
      isOutputAtEnd = true
      answerReader(.success(nil))
    case .done(.some(let bytes)):
      guard connection.count(bytes.count) else { return false }
      answerReader(.success(bytes))
    }
    return true
  }

  private func answerReader(_ result: Result<[UInt8]?, TransportError>) {
    guard let reader else { return }
    self.reader = nil
    reader(result)
  }

  private func moveInput(_ channel: SSHChannel) -> Bool {
    guard let connection else { return false }
    while let first = output.first {
      guard connection.canWrite else {
        connection.awaitSocket(id)
        return true
      }
      switch first {
      case .end(let answer):
        guard channel.sendEnd() else { return inputClosed() }
        output.removeFirst()
        answer(.success(()))
      case .bytes(let bytes, let answer):
        guard channel.writableBytes > 0 else {
          if channel.isClosedByHost { return inputClosed() }
          return true
        }
        switch channel.write(bytes.prefix(min(Self.writeSize, channel.writableBytes))) {
        case .again: return true
        case .failed: return inputClosed()
        case .done(let count):
          if count == bytes.count {
            output.removeFirst()
            answer(.success(()))
          } else {
            output[0] = .bytes(bytes.dropFirst(count), answer)
          }
        }
      }
    }
    return true
  }

  /// The program ended without reading its input; what it wrote can still be read.
  private func inputClosed() -> Bool {
    if let session = connection?.session, session.isBroken { return connectionFailed() }
    let items = output
    output = []
    let error = TransportError(.unreachable, host: host, "the program takes no more input")
    for item in items {
      switch item {
      case .bytes(_, let answer), .end(let answer): answer(.failure(error))
      }
    }
    return true
  }

  /// A call failed: when the session broke, the connection says so to everybody.
  private func connectionFailed() -> Bool {
    if let session = connection?.session, !session.isBroken {
      fail(.unreachable, "the channel failed: \(session.errorText)")
    }
    return false
  }

  // MARK: The end

  /// Gives the C channel back; what was learnt stays for who asks.
  private func release() {
    core.cancel(timer: timer)
    connection?.forget(id)
    guard let channel else { return }
    channel.free()
    self.channel = nil
    core.channelEnded()
  }

  private func fail(_ kind: TransportError.Kind, _ detail: String, hint: String? = nil) {
    end(TransportError(kind, host: host, detail, hint: hint))
  }

  /// The caller wants no more of it.
  func close(because kind: TransportError.Kind = .cancelled) {
    fail(kind, "the channel was closed")
    core.channels[id] = nil
  }

  func end(_ error: TransportError) {
    if case .ended = phase { return }
    phase = .ended(error)
    release()
    connection?.flush()
    let started = started
    self.started = nil
    started?(.failure(error))
    answerReader(.failure(error))
    let items = output
    output = []
    for item in items {
      switch item {
      case .bytes(_, let answer), .end(let answer): answer(.failure(error))
      }
    }
    let waiters = exitWaiters
    exitWaiters = []
    for waiter in waiters { waiter(.failure(error)) }
  }

  func connectionEnded(_ error: TransportError) {
    // The session frees it; what `end` frees is nothing then.
    channel?.abandon()
    end(error)
  }
}
