import Core
import TestSupport
import Testing
import Wire

@Suite struct CodecTests {
  static let seed = UInt64.random(in: 0 ... .max)

  @Test func `random messages come back as they went`() throws {
    var random = Random(seed: Self.seed)
    for round in 0..<3000 {
      let sent = random.controllerMessage()
      #expect(try ControllerMessage(frame: frame(sent.encode())) == sent, "seed \(Self.seed), round \(round)")
      let answer = random.agentMessage()
      #expect(try AgentMessage(frame: frame(answer.encode())) == answer, "seed \(Self.seed), round \(round)")
    }
  }

  @Test func `mutated messages are refused or read, never a crash, and what is read is written the same`() {
    var random = Random(seed: Self.seed)
    let corpus = (0..<40).flatMap { _ in [random.controllerMessage().encode(), random.agentMessage().encode()] }
    var read = 0
    for round in 0..<200_000 {
      let bytes = corpus[round % corpus.count]
      var payload = Array(bytes.dropFirst(5))
      var type = bytes[4]
      switch round % 5 {
      case 0 where !payload.isEmpty:
        payload[Int.random(in: 0..<payload.count, using: &random)] ^= 1 << (random.next() % 8)
      case 1 where !payload.isEmpty:
        payload[Int.random(in: 0..<payload.count, using: &random)] = [0, 1, 0x7f, 0xff].randomElement(using: &random)!
      case 2: payload = Array(payload.prefix(Int.random(in: 0...payload.count, using: &random)))
      case 3: payload.insert(contentsOf: random.bytes(2), at: Int.random(in: 0...payload.count, using: &random))
      default: type = (MessageType.allCases.map(\.rawValue) + [0, 255]).randomElement(using: &random)!
      }
      let mutant = Frame(type: type, payload: payload)
      // Another version's hello is read no further than its version.
      if let message = try? ControllerMessage(frame: mutant), message.type != .controllerHello {
        read += 1
        if Array(message.encode().dropFirst(5)) != payload { Issue.record("seed \(Self.seed), round \(round)") }
      }
      if let message = try? AgentMessage(frame: mutant) {
        read += 1
        // A report of a format before is read, and written in today's.
        if message.type == .report, payload.first == 0, (2...6).contains(payload[1]) { continue }
        if Array(message.encode().dropFirst(5)) != payload { Issue.record("seed \(Self.seed), round \(round)") }
      }
    }
    #expect(read > 1000)
  }

  @Test func `streams of random bytes end in an error or in silence`() {
    var random = Random(seed: Self.seed)
    for _ in 0..<2000 {
      var decoder = FrameDecoder()
      // A plausible length now and then, or the decoder would hardly ever get to a message.
      decoder.feed([0, 0, 0, UInt8.random(in: 0...60, using: &random)] + random.bytes(80))
      while let frame = try? decoder.next() {
        _ = try? ControllerMessage(frame: frame)
        _ = try? AgentMessage(frame: frame)
      }
    }
  }

  // MARK: Versions and types

  @Test(arguments: [3, 9] as [UInt8])
  func `a hello of another version is read as far as its version, whatever follows`(number: UInt8) throws {
    let version = UInt16(number)
    let controller = Frame(type: 1, payload: [0, number, 0xde, 0xad])
    #expect(try ControllerMessage(frame: controller) == .hello(version: version))
    let agent = Frame(type: 129, payload: [0, number, 0xde, 0xad])
    #expect(throws: WireProblem.otherVersion(version)) { try AgentMessage(frame: agent) }
    #expect("\(WireProblem.otherVersion(version))" == "the other side speaks protocol \(version), this one 5")
  }

  @Test(arguments: [0, 14, 128, 140, 255] as [UInt8])
  func `an unknown type is named`(type: UInt8) {
    #expect(throws: WireProblem.unknownType(type)) { try ControllerMessage(frame: Frame(type: type, payload: [])) }
    #expect(throws: WireProblem.unknownType(type)) { try AgentMessage(frame: Frame(type: type, payload: [])) }
    #expect("\(WireProblem.unknownType(type))".contains("\(type)"))
  }

  @Test func `messages of the wrong side are refused as such`() throws {
    for (_, bytes) in LabelledBytesTests.fromAgent {
      let frame = try frame(bytes)
      #expect(throws: WireProblem.wrongDirection(MessageType(rawValue: frame.type)!)) {
        try ControllerMessage(frame: frame)
      }
    }
    for (_, bytes) in LabelledBytesTests.fromController {
      let frame = try frame(bytes)
      #expect(throws: WireProblem.wrongDirection(MessageType(rawValue: frame.type)!)) { try AgentMessage(frame: frame) }
    }
  }

  // MARK: Limits

  static let tooMuch: [(String, [StagedFile])] = [
    ("no files", []),
    ("an empty file", [StagedFile(file: .manifest, size: 0)]),
    ("a file twice", [StagedFile(file: .manifest, size: 1), StagedFile(file: .manifest, size: 1)]),
    ("a seventeenth signature", [StagedFile(file: .signature(16), size: 1)]),
    ("a manifest over 64 KiB", [StagedFile(file: .manifest, size: 64 << 10 + 1)]),
    ("rules over 8 MiB", [StagedFile(file: .rules(.ipv6), size: 8 << 20 + 1)]),
    ("a profile over 256 KiB", [StagedFile(file: .lockdown(0, .ipv4), size: 256 << 10 + 1)]),
    ("a ninth profile", [StagedFile(file: .lockdown(8, .ipv4), size: 1)]),
    ("a size of 4 GiB", [StagedFile(file: .rules(.ipv4), size: .max)]),
  ]

  @Test(arguments: tooMuch.indices)
  func `an announcement that breaks a limit is refused`(index: Int) throws {
    let frame = try frame(ControllerMessage.stage(transaction, Self.tooMuch[index].1).encode())
    #expect(throws: WireProblem.self, "\(Self.tooMuch[index].0)") { try ControllerMessage(frame: frame) }
  }

  @Test(
    arguments: [
      (8, 0), (0, 1), (2, 1), (3, 9), (4, 2), (5, 1), (6, 1), (7, 16), (255, 255),
    ] as [(UInt8, UInt8)])
  func `a file that does not exist is refused`(role: UInt8, index: UInt8) {
    let payload = transaction.bytes + [1, role, index, 0, 0, 0, 1]
    #expect(throws: WireProblem.malformed(.stage, .malformed(field: "role of file"))) {
      try ControllerMessage(frame: Frame(type: 2, payload: payload))
    }
  }

  @Test(arguments: [0, 14, 601, .max] as [UInt16])
  func `confirmation terms out of bounds are refused on the wire, and made the nearest that are in them here`(
    seconds: UInt16
  ) {
    let payload = transaction.bytes + digest.bytes + [UInt8(seconds >> 8), UInt8(seconds & 0xff), 0]
    #expect(throws: WireProblem.malformed(.apply, .malformed(field: "confirmation seconds"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: payload))
    }
    #expect(ConfirmationTerms(seconds: seconds, isManual: false).seconds == (seconds < 15 ? 15 : 600))
  }

  @Test(arguments: [15, 60, 600] as [UInt16])
  func `confirmation terms at their bounds are taken as they are`(seconds: UInt16) throws {
    let sent = ControllerMessage.apply(
      transaction, manifest: digest, ConfirmationTerms(seconds: seconds, isManual: true))
    let payload = transaction.bytes + digest.bytes + [UInt8(seconds >> 8), UInt8(seconds & 0xff), 1]
    #expect(try ControllerMessage(frame: Frame(type: 4, payload: payload)) == sent)
  }

  @Test(arguments: [3, 255] as [UInt8])
  func `a byte that is none of its few values is refused`(byte: UInt8) {
    #expect(throws: WireProblem.malformed(.apply, .malformed(field: "manual confirmation"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: transaction.bytes + digest.bytes + [0, 60, byte]))
    }
    #expect(throws: WireProblem.malformed(.local, .malformed(field: "deed"))) {
      try ControllerMessage(frame: Frame(type: 10, payload: [byte, 0, 0, 0, 0]))
    }
  }

  @Test func `an apply of version 1, without terms, is refused`() {
    #expect(throws: WireProblem.malformed(.apply, .truncated(field: "confirmation seconds"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: transaction.bytes + digest.bytes))
    }
  }

  @Test func `a local order's reason is cut to its limit, and one over it is refused`() throws {
    let long = LocalOrder(deed: .safe, reason: String(repeating: "x", count: WireLimit.reason + 1))
    guard case .local(let order) = try ControllerMessage(frame: frame(ControllerMessage.local(long).encode())) else {
      Issue.record("not a local order")
      return
    }
    #expect(order.reason.utf8.count == WireLimit.reason)
    let payload = [0, 0, 0, 2, 1] + [UInt8](repeating: 65, count: WireLimit.reason + 1)
    #expect(
      throws: WireProblem.malformed(
        .local, .tooLong(field: "reason", length: WireLimit.reason + 1, limit: WireLimit.reason))
    ) { try ControllerMessage(frame: Frame(type: 10, payload: payload)) }
  }

  @Test func `warnings are cut in number and length, and more of them are refused`() throws {
    let long = String(repeating: "漢", count: WireLimit.warning)
    let sent = change(warnings: Array(repeating: long, count: WireLimit.warnings + 5))
    guard case .applied(let read) = try AgentMessage(frame: frame(AgentMessage.applied(sent).encode())) else {
      Issue.record("not an applied change")
      return
    }
    #expect(read.warnings.count == WireLimit.warnings)
    #expect(read.warnings.allSatisfy { long.hasPrefix($0) && $0.utf8.count > WireLimit.warning - 3 })
    let head = transaction.bytes + digest.bytes + nonce.bytes + [0, 0, 0, 1]
    let payload = head + [0, 0, 0, 17] + [UInt8](repeating: 0, count: 4 * 17)
    #expect(
      throws: WireProblem.malformed(.applied, .tooLong(field: "number of warnings", length: 17, limit: 16))
    ) { try AgentMessage(frame: Frame(type: 135, payload: payload)) }
  }

  @Test func `a piece is between one byte and the limit`() {
    func data(_ count: Int) throws -> ControllerMessage {
      try ControllerMessage(frame: Frame(type: 3, payload: Array(repeating: 1, count: count)))
    }
    #expect(throws: WireProblem.self) { try data(0) }
    #expect(throws: Never.self) { try data(WireLimit.piece) }
    #expect(throws: WireProblem.self) { try data(WireLimit.piece + 1) }
  }

  @Test func `only the last piece of a text may be empty`() {
    #expect(throws: WireProblem.self) { try AgentMessage(frame: Frame(type: 133, payload: [0, 0, 0])) }
    #expect(throws: Never.self) { try AgentMessage(frame: Frame(type: 133, payload: [0, 0, 1])) }
  }

  @Test func `bytes that are not UTF-8 are refused where text belongs`() {
    let payload: [UInt8] = [17] + [0, 0, 0, 2, 0xc3, 0x28] + [0]
    #expect(throws: WireProblem.malformed(.refused, .malformed(field: "detail"))) {
      try AgentMessage(frame: Frame(type: 134, payload: payload))
    }
  }

  @Test(arguments: [0, 1, 2, 3])
  func `a long detail is cut between characters, so that it can be read`(shift: Int) throws {
    let detail = String(repeating: "x", count: shift) + String(repeating: "漢", count: 3000)
    let message = AgentMessage.refused(Refusal(code: .rulesDoNotLoad, detail: detail))
    guard case .refused(let refusal) = try AgentMessage(frame: frame(message.encode())) else {
      Issue.record("not a refusal")
      return
    }
    #expect(refusal.detail.utf8.count > WireLimit.detail - 3 && refusal.detail.utf8.count <= WireLimit.detail)
    #expect(detail.hasPrefix(refusal.detail))
  }

  @Test func `an order over its limits is refused, and a signature too many`() {
    let head = nonce.bytes + [0]
    func order(_ payload: [UInt8]) throws -> ControllerMessage {
      try ControllerMessage(frame: Frame(type: 13, payload: head + payload))
    }
    let text = [UInt8](repeating: 65, count: WireLimit.order + 1)
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "order", length: 4097, limit: 4096))
    ) { try order([0, 0, 0x10, 1] + text + [0]) }
    #expect(throws: Never.self) { try order([0, 0, 0x10, 0] + text.dropLast() + [0]) }
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "number of signatures", length: 17, limit: 16))
    ) { try order([0, 0, 0, 0, 17] + [UInt8](repeating: 0, count: 4 * 17)) }
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "signature", length: 4097, limit: 4096))
    ) { try order([0, 0, 0, 0, 1, 0, 0, 0x10, 1] + text) }
    #expect(throws: WireProblem.malformed(.order, .malformed(field: "kind of order"))) {
      try ControllerMessage(frame: Frame(type: 13, payload: nonce.bytes + [2, 0, 0, 0, 0, 0]))
    }
  }

  @Test func `a host's clock outside the format becomes the nearest time that is in it`() throws {
    var wrong = report()
    wrong.time = UTCTime(secondsSinceEpoch: -5)
    #expect(try Report(encoded: wrong.encode()).time == UTCTime(secondsSinceEpoch: 0))
    wrong.time = UTCTime(secondsSinceEpoch: .max)
    #expect(try Report(encoded: wrong.encode()).time.description == "9999-12-31T23:59:59Z")
  }

  @Test(arguments: [0, 1, WireLimit.piece - 1, WireLimit.piece, WireLimit.piece + 1, 3 * WireLimit.piece])
  func `pieces put together are the text, and the last one says so`(count: Int) {
    let text = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var pieces = Pieces(text)
    var joined: [UInt8] = []
    var ends: [Bool] = []
    while let (piece, last) = pieces.next() {
      #expect(piece.count <= WireLimit.piece)
      joined += piece
      ends.append(last)
    }
    #expect(joined == text)
    #expect(ends == Array(repeating: false, count: ends.count - 1) + [true])
  }
}
