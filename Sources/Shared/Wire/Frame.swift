internal import Core

/// The limits of the protocol, in bytes unless said otherwise. Every one is checked before anything is allocated.
package enum WireLimit {
  /// Type byte and payload of one frame.
  package static let frame = 1 << 20
  /// A piece of a staged file or of a text: small enough that a connection needs little memory for its share.
  package static let piece = 256 << 10
  /// Statement, manifest, proof, two rule files, sets, settings, the signatures, and two rule files of each profile.
  package static let stagedFiles = 7 + BundleFile.maximumSignatures + 2 * BundleFile.maximumProfiles
  /// All files of one bundle: a little more than the sum of what each may have.
  package static let stagedBytes = 29 << 20
  /// The whole of one text.
  package static let text = 16 << 20
  /// Chains in one family of a report, and the bytes their list takes. Two such lists and the rest fit one frame.
  package static let reportChains = 10_000
  package static let reportChainBytes = 490_000
  package static let detail = 4096
  package static let version = 64
  package static let bootID = 64
  package static let architecture = 32
  package static let kernel = 128
  package static let address = 64
  package static let table = 32
  package static let chain = 255
  package static let conflict = 64
  /// Each warning of an applied change, and how many.
  package static let warning = 1024
  package static let warnings = 16
  /// Of a local order.
  package static let reason = 512
  /// The name of other software in a report.
  package static let owner = 32
  /// More than there is software that this version knows: newer agents know more.
  package static let owners = 32
  /// What a policy would have dropped: so many entries of one host, and the bytes their list takes.
  package static let observations = 10_000
  package static let observationBytes = 1_000_000
  /// Protocol and port of one of them.
  package static let observedWord = 32
  /// Kernel settings in a report, the name of one, and a value.
  package static let settings = 128
  package static let setting = 96
  package static let settingValue = 32
  /// Services named in a report.
  package static let sshPorts = 8
  /// Sockets that wait for others.
  package static let listening = 256
  /// Changes of the rules in one answer; of each the chains and processes named, and the name of a process.
  package static let changes = 64
  package static let changedChains = 32
  package static let actors = 4
  package static let actor = 64
  /// How long an agent waits for a change, in seconds.
  package static let watchSeconds: UInt16 = 600
  package static let conflicts = 16
  /// Of others in a report: nft tables, what owners have in either family, and ipsets.
  package static let foreignTables = 64
  package static let foreignTable = 64
  package static let tableFamily = 8
  package static let foreignChains = 32
  package static let foreignSets = 64
  /// The kernel takes 31 bytes.
  package static let setName = 32
  /// Version and backend of a host's programs.
  package static let programs = 80
  /// Of an order: its text, and each signature.
  package static let order = 4 << 10
  package static let orderSignature = 4 << 10
  /// Who signed an order.
  package static let principal = 128
  /// Lockdown profiles of one release.
  package static let profiles = 8
}

/// Every message there is, by its number on the wire. Numbers are never used again for something else.
package enum MessageType: UInt8, CaseIterable, Sendable, Hashable {
  // From the controller.
  case controllerHello = 1
  case stage = 2
  case data = 3
  case apply = 4
  case reportRequest = 5
  case textRequest = 6
  case goodbye = 7
  case confirm = 8
  case cancel = 9
  case local = 10
  case observe = 11
  case watch = 12
  case order = 13
  // From the agent.
  case agentHello = 129
  case staged = 130
  case outcome = 131
  case report = 132
  case text = 133
  case refused = 134
  case applied = 135
  case done = 136
  case observations = 137
  case changes = 138
  case obeyed = 139

  package var name: String {
    switch self {
    case .controllerHello, .agentHello: "hello"
    case .stage: "stage"
    case .data: "data"
    case .apply: "apply"
    case .reportRequest, .report: "report"
    case .textRequest, .text: "text"
    case .goodbye: "goodbye"
    case .staged: "staged"
    case .outcome: "outcome"
    case .refused: "refused"
    case .confirm: "confirm"
    case .cancel: "cancel"
    case .local: "local"
    case .applied: "applied"
    case .done: "done"
    case .observe: "observe"
    case .observations: "observations"
    case .watch: "watch"
    case .changes: "changes"
    case .order: "order"
    case .obeyed: "obeyed"
    }
  }
}

/// One frame off the wire: u32 length of what follows, u8 type, payload. The type may be one we do not know.
package struct Frame: Hashable, Sendable {
  package var type: UInt8
  package var payload: [UInt8]

  package init(type: UInt8, payload: [UInt8]) {
    self.type = type
    self.payload = payload
  }

  /// The bytes of a whole frame. The payload is within limits because every field was.
  static func encode(_ type: MessageType, _ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var payload = ByteWriter()
    write(&payload)
    var frame = ByteWriter()
    frame.uint32(UInt32(payload.bytes.count + 1))
    frame.uint8(type.rawValue)
    frame.raw(payload.bytes)
    return frame.bytes
  }
}

/// Finds frames in a stream that arrives in pieces of any size.
///
/// It holds at most one unfinished frame and what was fed since `next` last returned nil, so callers read pieces of a
/// fixed size and drain after each. A length over the limit is refused when its four bytes are there; nothing is
/// reserved for a length that was only announced. After a problem it stays broken: there is no way to find the start
/// of the next frame.
package struct FrameDecoder: Sendable {
  private static let headerSize = 4

  private var buffer: [UInt8] = []
  /// Where the unread bytes begin.
  private var start = 0
  private var problem: WireProblem?

  package init() {}

  package mutating func feed(_ bytes: some Collection<UInt8>) {
    guard problem == nil else { return }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole frame, or nil until more bytes are fed.
  package mutating func next() throws(WireProblem) -> Frame? {
    if let problem { throw problem }
    guard unread >= Self.headerSize else { return nil }
    let length = buffer[start..<start + Self.headerSize].reduce(0) { $0 << 8 | Int($1) }
    guard length >= 1 else { throw broken(.emptyFrame) }
    guard length <= WireLimit.frame else { throw broken(.frameTooLong(length: length)) }
    guard unread >= Self.headerSize + length else { return nil }
    let body = start + Self.headerSize
    let frame = Frame(type: buffer[body], payload: Array(buffer[body + 1..<body + length]))
    start = body + length
    discardRead()
    return frame
  }

  /// Bytes are held that belong to a frame which has not arrived whole.
  package var isInsideFrame: Bool { unread > 0 }

  /// Throws if the stream ended inside a frame.
  package func finish() throws(WireProblem) {
    if let problem { throw problem }
    guard unread == 0 else { throw .truncatedFrame(have: unread) }
  }

  private var unread: Int { buffer.count - start }

  private mutating func broken(_ problem: WireProblem) -> WireProblem {
    self.problem = problem
    buffer = []
    start = 0
    return problem
  }

  private mutating func discardRead() {
    if start == buffer.count {
      // A big frame's memory is given back; a small one's is kept for the next.
      buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * 64 << 10)
      start = 0
    } else if start >= 64 << 10 {
      buffer.removeFirst(start)
      start = 0
    }
  }
}
