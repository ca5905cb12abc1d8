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
  private(set) var phase = Phase.reaching
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
  private var identity: Result<IdentityFile, Reason>?
  private var agentLogin: AgentLogin?

  /// Channels and tunnels, by id; those libssh noted a change of; those that wait for answers or room to write.
  private var users: [UInt64: any ChannelUser] = [:]
  private var changed: [UInt64] = []
  private var isChanged = Set<UInt64>()
  private var unsettled = Set<UInt64>()
  private var socketWaiters = Set<UInt64>()
  private var isServing = false
  /// Bytes of all channels taken out of libssh so far.
  private var receivedPayload = 0
  private var receivedAtLogin: UInt64 = 0

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
  private func drive<Value>(_ call: () -> Step<Value>) -> Step<Value> {
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
  private func rearm() {
    guard let session, session.descriptor == descriptor else { return }
    var events = LoopCore.mask([EPOLLIN, EPOLLRDHUP])
    if session.hasUnsentBytes { events |= EPOLLOUT.rawValue }
    guard events != armed else { return }
    armed = events
    core.rearm(token, descriptor, events: events)
  }

  // MARK: Host key

  private lazy var knownKeys = core.knownHosts.keys(
    name: endpoint.name, addresses: endpoint.addresses, port: endpoint.port)

  private func checkHostKey() {
    guard let key = session?.hostKey() else {
      return fail(.protocolViolation, "\(remoteAddress) showed no host key that can be read")
    }
    let known = knownKeys
    let alias = KnownHosts.lookupName(endpoint.name, port: endpoint.port)
    if known.revoked.contains(key) {
      return fail(
        .hostKeyRevoked, "\(remoteAddress) shows the revoked host key \(key)",
        hint: "whoever holds this key may be an impostor; if the host has a new key, pin that and restart its sshd")
    }
    if known.pinned.contains(key) {
      phase = .loggingIn
      return logIn()
    }
    if known.pinned.isEmpty {
      return fail(
        .hostKeyUnknown, "\(remoteAddress) shows the host key \(key), and known_hosts has none for \(SafeText.escape(alias))",
        hint: "compare the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub), then pin it")
    }
    let pinned = known.pinned.map(\.description).joined(separator: ", ")
    fail(
      .hostKeyChanged, "\(remoteAddress) shows the host key \(key), but known_hosts has \(pinned)",
      hint: "either the host was set up again, or somebody stands between; nothing was sent to it")
  }

  // MARK: Logging in

  /// False when it failed already.
  private func loadIdentity() -> Bool {
    guard let path = endpoint.identityFile else {
      if endpoint.agentSocket != nil { return true }
      fail(.localFile, "there is no key to log in with", hint: "name an identity file or an ssh-agent")
      return false
    }
    let ticket = core.mailbox.makeID()
    let mailbox = core.mailbox
    core.loading[ticket] = { [weak self] result in
      self?.identity = result
      if case .loggingIn = self?.phase { self?.logIn() }
    }
    core.helpers.submit {
      let result = IdentityFile.load(path)
      mailbox.post { $0.loading.removeValue(forKey: ticket)?(result) }
    }
    return true
  }

  private func logIn() {
    guard let session else { return }
    guard let path = endpoint.identityFile else { return logInWithAgent(key: nil) }
    let shown = SafeText.escape(path)
    switch identity {
    case nil: break
    case .failure(let reason): fail(.localFile, "identity file \(shown): \(reason)")
    case .success(.agentKey(let blob, let why)):
      guard endpoint.agentSocket != nil, let blob else {
        return fail(
          .localFile, "identity file \(shown): \(why)",
          hint: "add it to ssh-agent (ssh-add \(shown)) and keep its .pub beside it; no passphrase is asked for here")
      }
      logInWithAgent(key: blob)
    case .success(.privateKey(let text)):
      guard let key = core.keys.key(for: text) else {
        return fail(.localFile, "identity file \(shown) is not a private key that can be read")
      }
      switch drive({ session.authenticate(with: key) }) {
      case .again: break
      case .failed: lost()
      case .done(.accepted): opened()
      case .done(.partial): refusedPartial()
      case .done(.refused): refused("identity file \(shown)")
      }
    }
  }

  private func logInWithAgent(key: [UInt8]?) {
    guard let session, let path = endpoint.agentSocket else { return }
    let login =
      agentLogin
      ?? AgentLogin(core: core, session: session, path: path, key: key) { [weak self] in
        guard let self else { return }
        // Not at once: the answer may have come before there was a login to drive.
        _ = core.schedule(at: .now) { [weak self] in if case .loggingIn = self?.phase { self?.logIn() } }
      }
    agentLogin = login
    switch drive(login.drive) {
    case .again: break
    case .failed, .done(.connectionLost): lost()
    case .done(.accepted): opened()
    case .done(.partial): refusedPartial()
    case .done(.refused(let count)): refused(count == 1 ? "a key of ssh-agent" : "\(count) keys of ssh-agent")
    case .done(.agentFailed(let why)): fail(.localFile, "ssh-agent \(SafeText.escape(path)): \(why)")
    }
  }

  private func refused(_ keys: String) {
    fail(
      .authenticationRefused, "\(SafeText.escape(endpoint.user)) is not let in with \(keys)",
      hint: "its public half must be in the user's authorized_keys on the host")
  }

  private func refusedPartial() {
    fail(
      .authenticationRefused, "\(SafeText.escape(endpoint.user)) must prove more than a key",
      hint: "allow publickey alone for this user (AuthenticationMethods)")
  }

  private func opened() {
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

  // MARK: Open

  private func serve() {
    guard let session else { return }
    isServing = true
    for _ in 0..<Self.readsPerTurn {
      let before = session.receivedBytes
      session.pump()
      let count = session.receivedBytes - before
      if session.isBroken { break }
      // What is no channel's payload has a limit too: four bytes for each, for hosts that send a few at a time.
      guard session.receivedBytes - receivedAtLogin <= UInt64(limits.receivedBytes.clamped) * 4 + 1 << 20 else {
        return overBudget()
      }
      serve(take(unsettled: true))
      guard phase == .open else { return }
      if count < SSHSession.readSize { break }
    }
    if session.isBroken { serve(take(unsettled: true)) }
    isServing = false
    flush()
  }

  /// Who is to be served now, each once.
  private func take(unsettled includesUnsettled: Bool) -> [UInt64] {
    var ids = changed
    changed = []
    for id in socketWaiters where canWrite && isChanged.insert(id).inserted { ids.append(id) }
    if canWrite { socketWaiters = [] }
    for id in unsettled where includesUnsettled && isChanged.insert(id).inserted { ids.append(id) }
    isChanged = []
    return ids
  }

  private func serve(_ ids: [UInt64]) {
    for id in ids {
      guard phase == .open else { return }
      users[id]?.serve()
    }
  }

  /// To be called after anything was written: libssh writes on only after it was told that the socket takes more. Who
  /// waited for that is served, within bounds; what is left is for another turn.
  func flush() {
    guard phase == .open, !isServing, let session else { return }
    isServing = true
    var ids: [UInt64] = []
    for _ in 0..<8 {
      if session.hasUnsentBytes { session.pump() }
      if session.isBroken { return lost() }
      ids = take(unsettled: false)
      if ids.isEmpty { break }
      serve(ids)
      guard phase == .open else { return }
    }
    isServing = false
    if !ids.isEmpty { _ = core.schedule(at: .now) { [weak self] in self?.flush() } }
    rearm()
  }

  var canWrite: Bool { phase == .open && session?.hasUnsentBytes == false }

  /// Serves the user again once `canWrite`.
  func awaitSocket(_ id: UInt64) { socketWaiters.insert(id) }

  /// A channel whose changes `user` is told of, by `serve()`.
  func makeChannel(for user: some ChannelUser) -> SSHChannel? {
    let id = user.id
    guard phase == .open,
      let channel = session?.makeChannel(onChange: { [weak self] in
        guard let self, isChanged.insert(id).inserted else { return }
        changed.append(id)
      })
    else { return nil }
    users[id] = user
    unsettled.insert(id)
    return channel
  }

  /// While a user waits for an answer or for room to write, it is served at each turn.
  func settle(_ id: UInt64, _ isSettled: Bool) {
    if isSettled { unsettled.remove(id) } else { unsettled.insert(id) }
  }

  func forget(_ id: UInt64) {
    users[id] = nil
    unsettled.remove(id)
    socketWaiters.remove(id)
  }

  /// Counts bytes a channel gave; false, and the connection is gone, when they are more than the budget.
  func count(_ bytes: Int, buffered: Int = 0) -> Bool {
    receivedPayload += bytes
    guard receivedPayload + buffered <= limits.receivedBytes else {
      overBudget()
      return false
    }
    return true
  }

  private func overBudget() {
    fail(
      .tooMuchData, "it sent more than the \(limits.receivedBytes) bytes allowed for a connection")
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

/// Who has a channel in a connection.
protocol ChannelUser: AnyObject {
  var id: UInt64 { get }
  /// Something about its channel changed, or it asked to be served.
  func serve()
  /// Its channel must be abandoned now: the session is about to be freed.
  func connectionEnded(_ error: TransportError)
}

extension Int {
  /// Small enough to be multiplied by four.
  fileprivate var clamped: Int { Swift.min(self, Int.max >> 8) }
}
