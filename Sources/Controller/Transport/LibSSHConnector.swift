package import Core
internal import Glibc
internal import Synchronization

/// Connects to hosts with libssh, many on each of a few threads. A session and its channels never leave their thread;
/// callers talk to it by commands and wait for its answers.
///
/// What is required of a host is in docs/transport.md: a key pinned in known_hosts, strict key exchange, the algorithms
/// of `Algorithms`, and a public key login.
package final class LibSSHConnector: HostConnector {
  private let loops: [EventLoop]
  private let next = Atomic<Int>(0)

  /// `loops` threads are started at once and end when the connector and all its connections are gone. The process's
  /// soft limit of open files is raised to its hard one (at most 65,535, the highest descriptor libssh can hold).
  package init(knownHosts: KnownHosts, loops: Int = 2) throws(Failure) {
    Self.raiseFileLimit()
    let helpers = HelperThreads()
    var started: [EventLoop] = []
    for index in 0..<max(1, loops) {
      guard let loop = EventLoop(index: index, helpers: helpers, knownHosts: knownHosts) else {
        throw Failure(
          "start the SSH event loop", because: Reason(systemMessage(errno)), hint: "raise the limit of open files")
      }
      started.append(loop)
    }
    self.loops = started
  }

  package func connect(
    to endpoint: HostEndpoint, limits: ConnectionLimits
  ) async throws(TransportError) -> any HostConnection {
    if let objection = endpoint.objection {
      throw TransportError(.localFile, host: endpoint.name, objection)
    }
    let loop = loop(for: endpoint)
    let id = loop.mailbox.makeID()
    let opened: (loop: EventLoop, address: String) = try await loop.ask(host: endpoint.name) { core, answer in
      let connection = Connection(core: core, id: id, endpoint: endpoint, limits: limits) { result in
        answer(result.map { (loop, $0.remoteAddress) })
      }
      connection.start()
    } cancel: { core in
      core.connections[id]?.fail(.cancelled, "connecting was cancelled")
    }
    return LibSSHConnection(loop: loop, id: id, host: endpoint.name, remoteAddress: opened.address)
  }

  /// A host behind a bastion lives where the bastion's connection lives, so that it can be shared.
  private func loop(for endpoint: HostEndpoint) -> EventLoop {
    var outermost = endpoint
    while case .via(let bastion) = outermost.jump { outermost = bastion }
    guard case .direct = endpoint.jump else {
      return loops[Int(UInt(bitPattern: outermost.hashValue) % UInt(loops.count))]
    }
    return loops[next.add(1, ordering: .relaxed).oldValue % loops.count]
  }

  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let wanted = min(limit.rlim_max, 65_535)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = wanted
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

extension HostEndpoint {
  /// Bastions behind bastions.
  fileprivate static let maximumJumps = 8

  /// What would be cut short or misread by C, which ends strings at a NUL byte.
  fileprivate var objection: String? {
    var endpoint = self
    for _ in 0...Self.maximumJumps {
      let texts = [endpoint.name, endpoint.user] + endpoint.addresses
      if texts.contains(where: { $0.isEmpty || $0.utf8.count > 255 || $0.utf8.contains { $0 <= 0x20 || $0 == 0x7f } }) {
        return "a name, user or address is empty, too long or holds spaces"
      }
      guard case .via(let bastion) = endpoint.jump else { return nil }
      endpoint = bastion
    }
    return "more than \(Self.maximumJumps) bastions in a row"
  }
}

/// A loop's thread, as seen from others. The thread ends when nobody holds this any more.
final class EventLoop: Sendable {
  let mailbox: Mailbox

  init?(index: Int, helpers: HelperThreads, knownHosts: KnownHosts) {
    guard let mailbox = Mailbox() else { return nil }
    self.mailbox = mailbox
    let started = SystemThread.start("portcullis-ssh\(index)") {
      LoopCore(mailbox: mailbox, helpers: helpers, knownHosts: knownHosts).run()
    }
    guard started else { return nil }
  }

  deinit { mailbox.close() }

  /// Runs `start` on the loop and waits for its one answer. When the caller is cancelled, `cancel` runs on the loop and
  /// makes that answer come.
  func ask<Value: Sendable>(
    host: String, _ start: @escaping @Sendable (LoopCore, @escaping (Result<Value, TransportError>) -> Void) -> Void,
    cancel: @escaping @Sendable (LoopCore) -> Void
  ) async throws(TransportError) -> Value {
    let flag = CancelFlag()
    let result: Result<Value, TransportError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        mailbox.post { core in
          // Cancelled before this ran: its command found nothing to cancel.
          guard !flag.isSet else {
            return continuation.resume(returning: .failure(TransportError(.cancelled, host: host, "cancelled")))
          }
          start(core) { continuation.resume(returning: $0) }
        }
      }
    } onCancel: {
      flag.set()
      mailbox.post(cancel)
    }
    return try result.get()
  }

  /// Runs `action` on the loop, and returns after it, cancelled or not.
  func finish(_ action: @escaping @Sendable (LoopCore) -> Void) async {
    await withCheckedContinuation { continuation in
      mailbox.post { core in
        action(core)
        continuation.resume()
      }
    }
  }
}

/// The caller's end of a connection. Dropping it closes the connection.
final class LibSSHConnection: HostConnection {
  let remoteAddress: String
  private let loop: EventLoop
  private let id: UInt64
  private let host: String

  init(loop: EventLoop, id: UInt64, host: String, remoteAddress: String) {
    self.loop = loop
    self.id = id
    self.host = host
    self.remoteAddress = remoteAddress
  }

  deinit {
    let id = id
    loop.mailbox.post { $0.connections[id]?.close() }
  }

  func run(_ command: String?, deadline: ContinuousClock.Instant) async throws(TransportError) -> any HostChannel {
    if let command, command.utf8.contains(0) || command.utf8.count > 128 << 10 {
      throw TransportError(.localFile, host: host, "the command holds a NUL byte or is longer than 128 KiB")
    }
    let channelID = loop.mailbox.makeID()
    let id = id
    let host = host
    let _: Bool = try await loop.ask(host: host) { core, answer in
      guard let connection = core.connections[id] else {
        return answer(.failure(TransportError(.unreachable, host: host, "the connection is closed")))
      }
      let channel = LoopChannel(id: channelID, connection: connection, command: command) { result in
        if case .failure = result { core.channels[channelID] = nil }
        answer(result.map { true })
      }
      channel.start(deadline: deadline)
    } cancel: { core in
      core.channels[channelID]?.close()
    }
    return LibSSHChannel(connection: self, loop: loop, id: channelID, host: host)
  }

  func close() async {
    let id = id
    await loop.finish { $0.connections[id]?.close() }
  }
}

/// The caller's end of a channel. Dropping it closes the channel; it keeps its connection open.
final class LibSSHChannel: HostChannel {
  private let connection: LibSSHConnection
  private let loop: EventLoop
  private let id: UInt64
  private let host: String

  init(connection: LibSSHConnection, loop: EventLoop, id: UInt64, host: String) {
    self.connection = connection
    self.loop = loop
    self.id = id
    self.host = host
  }

  deinit {
    let id = id
    loop.mailbox.post { $0.channels[id]?.close() }
  }

  func write(_ bytes: [UInt8]) async throws(TransportError) {
    let _: Bool = try await ask { $0.write(bytes, Self.done($1)) }
  }

  func finishWriting() async throws(TransportError) {
    let _: Bool = try await ask { $0.finishWriting(Self.done($1)) }
  }

  func read() async throws(TransportError) -> [UInt8]? { try await ask { $0.read($1) } }

  func exitStatus() async throws(TransportError) -> Int32? { try await ask { $0.exitStatus($1) } }

  func standardError() async -> [UInt8] {
    let id = id
    return await withCheckedContinuation { continuation in
      loop.mailbox.post { continuation.resume(returning: $0.channels[id]?.standardError ?? []) }
    }
  }

  func close() async {
    let id = id
    await loop.finish { $0.channels[id]?.close() }
  }

  private func ask<Value: Sendable>(
    _ start: @escaping @Sendable (LoopChannel, @escaping (Result<Value, TransportError>) -> Void) -> Void
  ) async throws(TransportError) -> Value {
    let id = id
    let host = host
    return try await loop.ask(host: host) { core, answer in
      guard let channel = core.channels[id] else {
        return answer(.failure(TransportError(.cancelled, host: host, "the channel was closed")))
      }
      start(channel, answer)
    } cancel: { core in
      core.channels[id]?.close()
    }
  }

  private static func done(
    _ answer: @escaping (Result<Bool, TransportError>) -> Void
  ) -> (Result<Void, TransportError>) -> Void {
    { answer($0.map { true }) }
  }
}
