internal import Core
internal import Transport
internal import Wire

/// A conversation with one agent over one SSH connection: messages out, events in. It is used by one task at a time.
struct AgentLink: ~Copyable {
  private let connection: any HostConnection
  private let channel: any HostChannel
  private var session = ControllerSession()
  private var decoder = FrameDecoder()
  private var arrived: [ControllerEvent] = []
  /// Said but not sent: what belongs together travels in one packet, and wakes nobody twice.
  private var outbox: [UInt8] = []

  /// An agent of another version: it hears nothing of what was said with the hello.
  struct OtherVersion: Error, CustomStringConvertible {
    let description: String
  }

  /// In bytes: a bundle's rules are not held in memory twice.
  private static let outboxLimit = 256 << 10

  /// Logs in as the agent's user, whose login shell is the bridge, and says hello.
  /// - Parameter receivedBytes: all that the host may send us.
  static func open(
    _ endpoint: HostEndpoint, over connector: any HostConnector, deadline: ContinuousClock.Instant,
    receivedBytes: Int = 4 << 20
  ) async throws -> AgentLink {
    let remaining = max(.zero, ContinuousClock.now.duration(to: deadline))
    let limits = ConnectionLimits(connectTimeout: min(.seconds(15), remaining), receivedBytes: receivedBytes)
    let connection = try await connector.connect(to: endpoint, limits: limits)
    do {
      let channel = try await connection.run(nil, deadline: deadline)
      var link = AgentLink(connection: connection, channel: channel)
      link.outbox = link.session.hello().encode()
      return link
    } catch {
      await connection.close()
      throw error
    }
  }

  private init(connection: any HostConnection, channel: any HostChannel) {
    self.connection = connection
    self.channel = channel
  }

  func close() async {
    await channel.close()
    await connection.close()
  }

  mutating func stage(_ transaction: TransactionID, _ files: [BundleFile: [UInt8]]) async throws {
    for message in session.stage(transaction, files) { try await send(message) }
  }

  mutating func apply(_ transaction: TransactionID, manifest: Digest, _ terms: ConfirmationTerms) async throws {
    try await send(session.apply(transaction, manifest: manifest, terms))
  }

  mutating func confirm(_ confirmation: ChangeConfirmation) async throws {
    try await send(session.confirm(confirmation))
  }

  mutating func cancel(_ transaction: TransactionID) async throws { try await send(session.cancel(transaction)) }

  mutating func askReport(_ nonce: Nonce) async throws { try await send(session.report(nonce)) }

  mutating func askText(_ request: TextRequest) async throws { try await send(session.text(request)) }

  mutating func askObservations() async throws { try await send(session.observe()) }

  mutating func watch(after change: UInt64, seconds: UInt16) async throws {
    try await send(session.watch(after: change, seconds: seconds))
  }

  /// Sent with the hello when it is the first thing said: one round trip.
  mutating func give(_ order: OrderDelivery) async throws { try await send(session.order(order)) }

  /// Last; what was asked before is still answered.
  mutating func sayGoodbye() async throws { try await send(session.goodbye()) }

  /// The next thing the agent says. Throws when it ends the conversation first, with what it wrote to standard error:
  /// that is where the bridge says that no agent is running.
  mutating func next() async throws -> ControllerEvent {
    while true {
      if !arrived.isEmpty { return arrived.removeFirst() }
      try await flush()
      guard let bytes = try await channel.read() else {
        try decoder.finish()
        throw await ended()
      }
      decoder.feed(bytes)
      while let frame = try decoder.next() {
        do throws(WireProblem) {
          if let event = try session.receive(AgentMessage(frame: frame)) { arrived.append(event) }
        } catch {
          throw Self.withMend(error)
        }
      }
    }
  }

  /// Two versions say nothing to somebody who wants to know what to do.
  private static func withMend(_ problem: WireProblem) -> any Error {
    guard case .otherVersion(let theirs) = problem else { return problem }
    return OtherVersion(
      description: theirs < ProtocolVersion.current
        ? "\(problem): run 'portcullis enroll' for it" : "\(problem): this controller is older than the host's agent")
  }

  private mutating func send(_ message: ControllerMessage) async throws {
    outbox += message.encode()
    if outbox.count >= Self.outboxLimit { try await flush() }
  }

  private mutating func flush() async throws {
    guard !outbox.isEmpty else { return }
    let bytes = outbox
    outbox = []
    do {
      try await channel.write(bytes)
    } catch {
      // One that ended before it read all of it: what it said tells more than that it reads no more.
      throw await channel.standardError().isEmpty ? error : ended()
    }
  }

  private func ended() async -> any Error {
    let said = await channel.standardError().split(separator: UInt8(ascii: "\n")).map { SafeText.escape($0) }
    return Failure(
      "talk to the agent",
      because: Reason(said.isEmpty ? "it ended the conversation" : said.joined(separator: "; ")),
      hint: "see 'systemctl status portcullis-agent' on the host, or enroll it again")
  }
}
