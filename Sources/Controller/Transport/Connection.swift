internal import CLibSSH
internal import Core
internal import Glibc

/// One session from its first address to its end, on its loop's thread. Every event calls `advance`, which does a
/// bounded amount of work; every way out goes through `end`, once.
final class Connection {
  enum Phase {
    /// No descriptor yet: addresses or a bastion are tried.
    case reaching
    /// Our identification is being sent.
    case greeting
    /// The server's identification and KEXINIT are looked at, unread.
    case inspecting
    case exchangingKeys
    case loggingIn
    case open
    case ended
  }

  /// Reads of one turn; more waits for the next, after the other connections had theirs.
  static let readsPerTurn = 16

  let core: LoopCore
  let id: UInt64
  let endpoint: HostEndpoint
  let limits: ConnectionLimits
  var phase = Phase.reaching
  private(set) var remoteAddress = ""
  private(set) var session: SSHSession?
  /// Called when a connection that was open ended, for whatever reason.
  var onEnd: ((TransportError) -> Void)?

  private var completion: ((Result<Connection, TransportError>) -> Void)?
  private var timer: UInt64 = 0
  private var dialer: Dialer?
  private var route: BastionRoute?
  private var token: UInt64 = 0
  private var descriptor: Int32 = -1
  private var armed: UInt32 = 0
  private var peekAgainAt = 0
  var identity: Result<IdentityFile, Reason>?
  var agentLogin: AgentLogin?

  /// Channels and tunnels, by id; those libssh noted a change of; those that wait for answers or room to write.
  var users: [UInt64: any ChannelUser] = [:]
  var changed: [UInt64] = []
  var isChanged = Set<UInt64>()
  var unsettled = Set<UInt64>()
  var socketWaiters = Set<UInt64>()
  var isServing = false
  /// Bytes of all channels taken out of libssh so far.
  var receivedPayload = 0
  var receivedAtLogin: UInt64 = 0

  init(
    core: LoopCore, id: UInt64, endpoint: HostEndpoint, limits: ConnectionLimits,
    completion: @escaping (Result<Connection, TransportError>) -> Void
  ) {
    self.core = core
    self.id = id
    self.endpoint = endpoint
    self.limits = limits
    self.completion = completion
  }

  // MARK: Reaching

  func start() {
    core.connections[id] = self
    timer = core.schedule(at: .now + limits.connectTimeout) { [weak self] in self?.timedOut() }
    guard loadIdentity() else { return }
    let addresses = endpoint.addresses.isEmpty ? [endpoint.name] : endpoint.addresses
    switch endpoint.jump {
    case .direct:
      let dialer = Dialer(core: core, addresses: addresses, port: endpoint.port) { [weak self] in self?.dialed($0) }
      self.dialer = dialer
      dialer.start()
    case .via(let bastion):
      let route = BastionRoute(core: core, bastion: bastion, addresses: addresses, endpoint: endpoint, limits: limits) {
        [weak self] result in
        switch result {
        case .success(let reached): self?.reached(reached.descriptor, reached.address)
        case .failure(let error): self?.end(error)
        }
      }
      self.route = route
      route.start()
    }
  }

  private func dialed(_ result: Result<(descriptor: Int32, address: String), Reason>) {
    switch result {
    case .success(let reached): self.reached(reached.descriptor, reached.address)
    case .failure(let reason): fail(.unreachable, "\(reason)")
    }
  }

  private func reached(_ descriptor: Int32, _ address: String) {
    guard phase == .reaching else {
      Glibc.close(descriptor)
      return
    }
    dialer = nil
    remoteAddress = address
    guard let session = SSHSession(takeOwnershipOf: descriptor, user: endpoint.user) else {
      return fail(.unreachable, "no session for descriptor \(descriptor)", hint: "lower the number of connections")
    }
    self.session = session
    self.descriptor = descriptor
    phase = .greeting
    armed = LoopCore.mask([EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET])
    token = core.watch(descriptor, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET) { [weak self] in self?.advance($0) }
    guard token != 0 else { return fail(.unreachable, "epoll: \(systemMessage(errno))") }
    advance(0)
  }

  private func timedOut() {
    let limit = "\(limits.connectTimeout.components.seconds) s"
    switch phase {
    case .reaching:
      let progress = dialer?.progress ?? route?.progress ?? ""
      fail(.unreachable, "no connection within \(limit)\(progress.isEmpty ? "" : ": \(progress)")")
    case .greeting, .inspecting:
      fail(.deadline, "\(remoteAddress) did not introduce itself as an SSH server within \(limit)")
    case .exchangingKeys: fail(.deadline, "\(remoteAddress) did not finish the key exchange within \(limit)")
    case .loggingIn: fail(.deadline, "the login did not finish within \(limit)")
    case .open, .ended: break
    }
  }

  // MARK: Events

  private func advance(_ events: UInt32) {
    switch phase {
    case .reaching, .ended: return
    case .greeting: greet()
    case .inspecting: inspect(hasEnded: events & LoopCore.mask([EPOLLRDHUP, EPOLLHUP, EPOLLERR]) != 0)
    case .exchangingKeys: exchangeKeys()
    case .loggingIn: logIn()
    case .open: serve()
    }
  }

  private func greet() {
    guard let session else { return }
    switch session.begin() {
    case .again: break
    case .failed: lost()
    case .done:
      phase = .inspecting
      // Edge-triggered while bytes are looked at but left in the socket, which stays readable all the time.
      inspect(hasEnded: false)
    }
  }

  private func inspect(hasEnded: Bool) {
    let flags = Int32(MSG_PEEK | MSG_DONTWAIT)
    let count = recv(descriptor, core.scratch.baseAddress, min(KexInspector.maximumPrefix, core.scratch.count), flags)
    if count < 0 {
      if errno == EAGAIN || errno == EINTR { return }
      return fail(.unreachable, "\(remoteAddress): \(systemMessage(errno))")
    }
    if count >= peekAgainAt, count > 0 {
      switch KexInspector.examine(Array(core.scratch[0..<count])) {
      case .incomplete(let need): peekAgainAt = need
      case .refused(let why): return fail(.protocolViolation, "\(remoteAddress): \(why)")
      case .offer(let offer): return accept(offer)
      }
    }
    if hasEnded || count == 0 || isAtEnd {
      fail(
        .unreachable, "\(remoteAddress) closed the connection before the key exchange",
        hint: "sshd refuses connections over MaxStartups, or by PerSourceMaxStartups")
    }
  }

  /// The peer will send no more than what was looked at.
  private var isAtEnd: Bool {
    var state = pollfd(fd: descriptor, events: Int16(POLLRDHUP), revents: 0)
    return poll(&state, 1, 0) == 1 && state.revents & Int16(POLLRDHUP | POLLHUP | POLLERR) != 0
  }

  private func accept(_ offer: KexInspector.Offer) {
    if let objection = offer.objection {
      return fail(
        .protocolViolation, "\(remoteAddress) (\(offer.software)): \(objection)",
        hint: "update its SSH server; what is required is in docs/transport.md")
    }
    // The types that are pinned, so that a host with several keys proves itself by one we know. Where it has none of
    // them any type will do: the connection is refused all the same, but then with the key it showed.
    let pinned = knownKeys.pinned.flatMap(\.algorithms)
    let wanted = Algorithms.hostKeys.filter { pinned.contains($0) && offer.hostKeys.contains($0) }
    guard wanted.isEmpty || session?.restrictHostKeys(to: wanted) == true else { return lost() }
    phase = .exchangingKeys
    exchangeKeys()
  }

  private func exchangeKeys() {
    guard let session else { return }
    switch drive(session.exchangeKeys) {
    case .again: break
    case .failed: lost()
    case .done: checkHostKey()
    }
  }

  /// Repeats a pending call while it gets anywhere, a bounded number of times.
  func drive<Value>(_ call: () -> Step<Value>) -> Step<Value> {
    guard let session else { return .failed }
    for _ in 0..<8 {
      let before = (session.receivedBytes, session.hasUnsentBytes)
      let result = call()
      guard case .again = result else { return result }
      if session.receivedBytes == before.0, !session.hasUnsentBytes || before.1 { break }
    }
    rearm()
    return .again
  }

  /// Level-triggered, and for writing only while something waits to be written.
  func rearm() {
    guard let session, session.descriptor == descriptor else { return }
    var events = LoopCore.mask([EPOLLIN, EPOLLRDHUP])
    if session.hasUnsentBytes { events |= EPOLLOUT.rawValue }
    guard events != armed else { return }
    armed = events
    core.rearm(token, descriptor, events: events)
  }

  private(set) lazy var knownKeys = core.knownHosts.keys(
    name: endpoint.name, addresses: endpoint.addresses, port: endpoint.port)

  func opened() {
    agentLogin = nil
    identity = nil
    core.cancel(timer: timer)
    phase = .open
    receivedAtLogin = session?.receivedBytes ?? 0
    let completion = completion
    self.completion = nil
    completion?(.success(self))
    rearm()
  }

  // MARK: The end

  /// The session broke: says why in libssh's words, which include the host's.
  func lost() {
    let text = session?.errorText ?? "closed"
    let isSocket = text.hasPrefix("Socket error") || text.hasPrefix("Received SSH_MSG_DISCONNECT")
    let kind: TransportError.Kind = isSocket || phase == .open ? .unreachable : .protocolViolation
    let when =
      switch phase {
      case .greeting, .inspecting, .exchangingKeys: "the key exchange failed"
      case .loggingIn: "the connection broke during login"
      case .reaching, .open, .ended: "the connection broke"
      }
    fail(kind, "\(remoteAddress): \(when): \(text)")
  }

  func fail(_ kind: TransportError.Kind, _ detail: String, hint: String? = nil) {
    end(TransportError(kind, host: endpoint.name, detail, hint: hint))
  }

  func close() { fail(.cancelled, "the connection was closed") }

  func end(_ error: TransportError) {
    guard phase != .ended else { return }
    let wasOpen = phase == .open
    phase = .ended
    core.connections[id] = nil
    core.cancel(timer: timer)
    dialer?.stop()
    dialer = nil
    agentLogin = nil
    let users = users
    self.users = [:]
    for user in users.values { user.connectionEnded(error) }
    if let session {
      // libssh closes the descriptor itself on errors; the number may then be another file's.
      core.unwatch(token, session.descriptor == descriptor ? descriptor : nil)
      session.free()
    }
    session = nil
    route?.release()
    route = nil
    let completion = completion
    self.completion = nil
    completion?(.failure(error))
    if wasOpen { onEnd?(error) }
    onEnd = nil
  }
}
