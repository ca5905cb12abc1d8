internal import Apply
internal import Core
internal import Wire

/// One peer on the unix socket: its bytes in, the session they drive, its bytes out, and its deadlines. It does no work
/// itself: what the session wants done is returned, never more than one piece at a time, and `finish` brings the answer.
///
/// `room` in what follows is the memory, in bytes, that this connection's staged files may take.
struct Connection {
  let id: ConnectionID
  /// Nil when the peer is gone. While its work is going on the connection stays: the memory of its files is counted here.
  private(set) var socket: Descriptor?
  /// What is on the other side; known when the preamble is there.
  private(set) var management: ManagementConnection
  private let isRoot: Bool
  /// An answer of ours is awaited.
  private(set) var isWorking = false
  /// That answer is the outcome of an apply, which is never given up for others.
  private(set) var isApplying = false

  private let limits: DaemonLimits
  private var session: AgentSession
  /// What has arrived of the line before the protocol; nil when that is over.
  private var preamble: [UInt8]? = []
  private var decoder = FrameDecoder()
  private var output = OutputBuffer()
  /// No more is read; what is in `output` is sent, then the socket is closed.
  private var isClosing = false
  /// The peer will send no more.
  private var sawEnd = false

  private var patience: ConnectionPatience
  private var lastWatch: Watch?

  /// It is answered when there is a change after this one, or at that time.
  struct Watch {
    let after: UInt64
    let until: BootTime
  }

  init(
    _ id: ConnectionID, _ socket: Descriptor, isRoot: Bool, hello: AgentHello, limits: DaemonLimits, now: BootTime
  ) {
    self.id = id
    self.socket = socket
    self.isRoot = isRoot
    self.limits = limits
    management = ManagementConnection(ends: nil, opened: now)
    session = AgentSession(hello: hello)
    patience = ConnectionPatience(limits, now: now)
  }

  /// Where the SSH connection came from, or empty.
  var source: String { management.source }

  var reservedBytes: Int { session.reservedBytes }

  /// A process of root's on this host itself, with no SSH connection behind it.
  var isConsole: Bool { management.isConsole }

  /// Nothing is left to do for it.
  var isOver: Bool { socket == nil && !isWorking }

  /// Nil when nothing is waited for.
  var watch: Watch? { session.phase == .watching && socket != nil ? lastWatch : nil }

  // MARK: Polling

  /// A peer that is being answered is not read from: what it sends ahead waits in its own buffers.
  var wantsInput: Bool { socket != nil && !isClosing && !sawEnd && (preamble != nil || takesMessages) }

  var wantsOutput: Bool { socket != nil && !output.isEmpty }

  /// When it is to be ended though nothing happens, and why; nil while only our own work is waited for.
  var deadline: (at: BootTime, why: String)? {
    guard socket != nil else { return nil }
    if isClosing { return patience.deadline(of: .farewell) }
    if isWorking { return patience.deadline(of: .ourWork) }
    if preamble != nil { return patience.deadline(of: .preamble) }
    return patience.deadline(of: watch == nil ? .message : .change)
  }

  // MARK: Events

  /// The socket can be read.
  mutating func read(into buffer: inout [UInt8], room: Int, now: BootTime) -> Work? {
    guard let socket else { return nil }
    switch Nonblocking.read(socket.number, into: &buffer) {
    case .wouldBlock: return nil
    case .broken: drop()
    case .end:
      sawEnd = true
      if preamble != nil { drop() } else { return advance(room: room, now: now) }
    case .bytes(let count):
      var bytes = buffer[..<count]
      guard takePreamble(&bytes, now: now) else {
        drop()
        return nil
      }
      guard preamble == nil else { return nil }
      decoder.feed(bytes)
      return advance(room: room, now: now)
    }
    return nil
  }

  /// The socket takes bytes again. What the peer sent ahead may be looked at now.
  mutating func write(room: Int, now: BootTime) -> Work? {
    flush(now: now)
    return advance(room: room, now: now)
  }

  /// The answer to the work that was asked for.
  mutating func finish(_ answer: Answer, room: Int, now: BootTime) -> Work? {
    forgetWork()
    patience.lastActivity = now
    let actions =
      switch answer {
      case .checked(let result): session.checked(result)
      case .applied(let result): session.applied(result)
      case .confirmed(let result), .cancelled(let result): session.decided(result)
      case .obeyed(_, let result): session.obeyed(result)
      case .ordered(let result): session.ordered(result)
      case .reported(let result): session.reported(result)
      case .text(let result): session.textReady(result)
      case .observed(let result): session.observed(result)
      }
    return carryOut(actions, room: room, now: now)
  }

  /// What the watch waited for.
  mutating func tell(_ changes: Changes, room: Int, now: BootTime) -> Work? {
    patience.lastActivity = now
    return carryOut(session.changed(changes), room: room, now: now)
  }

  private mutating func carryOut(_ actions: [AgentAction], room: Int, now: BootTime) -> Work? {
    guard socket != nil else { return nil }
    _ = perform(actions, now: now)
    flush(now: now)
    return advance(room: room, now: now)
  }

  /// Its deadline has passed, or the daemon stops. A peer that speaks the protocol is told why.
  mutating func end(_ refusal: Refusal, now: BootTime) {
    guard !isClosing, preamble == nil, !patience.isStalled(at: now) else { return drop() }
    _ = perform(session.refuseAndClose(refusal), now: now)
    flush(now: now)
  }

  /// Nobody will hear an answer any more.
  mutating func drop() {
    socket = nil
    output = OutputBuffer()
    decoder = FrameDecoder()
  }

  /// The work asked for will not be done, and nobody is there to hear that.
  mutating func forgetWork() {
    isWorking = false
    isApplying = false
  }

  // MARK: Inside

  private var takesMessages: Bool { session.isReady && !isClosing && output.count < limits.output }

  /// Moves the bytes of the preamble out of what arrived; false if it is not one.
  private mutating func takePreamble(_ bytes: inout ArraySlice<UInt8>, now: BootTime) -> Bool {
    guard var line = preamble else { return true }
    let end = bytes.firstIndex(of: UInt8(ascii: "\n"))
    line += bytes[..<(end ?? bytes.endIndex)]
    guard line.count < Preamble.maximumLength else { return false }
    guard let end else {
      preamble = line
      return true
    }
    guard let read = Preamble(line: line) else { return false }
    management = ManagementConnection(ends: read.ends, isConsole: isRoot, opened: management.opened)
    preamble = nil
    bytes = bytes[(end + 1)...]
    patience.lastActivity = now
    _ = perform(session.start(), now: now)
    return true
  }

  /// Feeds whole frames to the session as long as it is ready for them and the peer takes the answers.
  private mutating func advance(room: Int, now: BootTime) -> Work? {
    guard socket != nil, preamble == nil else { return nil }
    var work: Work?
    do throws(WireProblem) {
      while takesMessages {
        guard let frame = try decoder.next() else {
          if sawEnd {
            try decoder.finish()
            work = perform(session.peerFinished(), now: now)
          }
          break
        }
        patience.lastActivity = now
        patience.frameBegan = nil
        work = perform(session.receive(try ControllerMessage(frame: frame), room: room), now: now)
      }
    } catch {
      work = perform(session.fail(error), now: now)
    }
    patience.frameBegan = takesMessages && decoder.isInsideFrame ? patience.frameBegan ?? now : nil
    switch session.phase {
    case .staging, .discarding: patience.stagingBegan = patience.stagingBegan ?? now
    case .greeting, .idle, .staged, .rejected, .answering, .watching, .closed: patience.stagingBegan = nil
    }
    flush(now: now)
    return work
  }

  private mutating func perform(_ actions: [AgentAction], now: BootTime) -> Work? {
    var work: Work?
    for action in actions {
      switch action {
      case .send(let message): output.append(message.encode())
      case .check(let files): work = .check(files)
      case .apply(let transaction, let files, let manifest, let terms):
        work = .apply(transaction, files: files, manifest: manifest, terms, from: management)
      case .confirm(let confirmation): work = .confirm(confirmation, from: management)
      case .cancel(let transaction): work = .cancel(transaction)
      case .local(let order): work = .local(order)
      case .order(let delivery): work = .order(delivery, from: management)
      case .report(let nonce): work = .report(nonce, managementSource: source)
      case .text(let request): work = .text(request)
      case .observe: work = .observe
      case .watch(let after, let seconds):
        lastWatch = Watch(after: after, until: now + .seconds(Int(seconds)))
      case .close:
        isClosing = true
        patience.lastActivity = now
      }
    }
    if let work {
      isWorking = true
      isApplying = work.isApply
    }
    return work
  }

  /// Sends what the peer takes, and closes when that was the last.
  private mutating func flush(now: BootTime) {
    guard let socket else { return }
    while true {
      while output.count < limits.output, let piece = session.nextPiece() { output.append(piece.encode()) }
      guard !output.isEmpty else { break }
      switch Nonblocking.send(socket.number, output.pending) {
      case .bytes(let count):
        output.drop(count)
        patience.stalledSince = now
        if !isClosing { patience.lastActivity = now }
      case .wouldBlock:
        patience.stalledSince = patience.stalledSince ?? now
        return
      case .end, .broken: return drop()
      }
    }
    patience.stalledSince = nil
    if isClosing { drop() }
  }
}
