import Core
import Testing
import Wire

@Suite struct FrameDecoderTests {
  @Test func `frames come out of a stream that arrives one byte at a time`() throws {
    let messages = LabelledBytesTests.fromController.map(\.0)
    var decoder = FrameDecoder()
    var seen: [ControllerMessage] = []
    for byte in messages.flatMap({ $0.encode() }) {
      decoder.feed(CollectionOfOne(byte))
      while let frame = try decoder.next() { seen.append(try ControllerMessage(frame: frame)) }
    }
    try decoder.finish()
    #expect(seen == messages)
  }

  @Test func `an agent's frames come out of a stream that arrives one byte at a time`() throws {
    let messages = LabelledBytesTests.fromAgent.map(\.0)
    var decoder = FrameDecoder()
    var seen: [AgentMessage] = []
    for byte in messages.flatMap({ $0.encode() }) {
      decoder.feed(CollectionOfOne(byte))
      while let frame = try decoder.next() { seen.append(try AgentMessage(frame: frame)) }
    }
    try decoder.finish()
    #expect(seen == messages)
  }

  @Test func `several frames in one piece come out one after the other`() throws {
    var decoder = FrameDecoder()
    decoder.feed(ControllerMessage.hello(version: 5).encode() + ControllerMessage.goodbye.encode() + [0, 0])
    #expect(try decoder.next()?.type == 1)
    #expect(try decoder.next()?.type == 7)
    #expect(try decoder.next() == nil)
    #expect(decoder.isInsideFrame)
  }

  @Test func `a frame of exactly the limit is taken, one byte more is refused at its length`() throws {
    var decoder = FrameDecoder()
    decoder.feed([0x00, 0x10, 0x00, 0x00, 3])
    decoder.feed(Array(repeating: 7, count: WireLimit.frame - 1))
    #expect(try decoder.next()?.payload.count == WireLimit.frame - 1)
    decoder.feed([0x00, 0x10, 0x00, 0x01])
    #expect(throws: WireProblem.frameTooLong(length: WireLimit.frame + 1)) { try decoder.next() }
  }

  @Test(arguments: [[0xff, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0x00, 0x10, 0x00, 0x01]] as [[UInt8]])
  func `a length over the limit is refused before any of the frame is there, and for good`(header: [UInt8]) {
    var decoder = FrameDecoder()
    decoder.feed(header.dropLast())
    #expect(throws: Never.self) { try decoder.next() }
    decoder.feed(header.suffix(1))
    #expect(throws: WireProblem.self) { try decoder.next() }
    decoder.feed(ControllerMessage.goodbye.encode())
    #expect(throws: WireProblem.self) { try decoder.next() }
    #expect(throws: WireProblem.self) { try decoder.finish() }
  }

  @Test func `a broken decoder keeps nothing of what is fed to it`() {
    var decoder = FrameDecoder()
    decoder.feed([0xff, 0xff, 0xff, 0xff])
    #expect(throws: WireProblem.self) { try decoder.next() }
    for _ in 0..<100 { decoder.feed(Array(repeating: 0, count: 64 << 10)) }
    #expect(!decoder.isInsideFrame)
  }

  @Test func `a frame without even a type is refused`() {
    var decoder = FrameDecoder()
    decoder.feed([0, 0, 0, 0])
    #expect(throws: WireProblem.emptyFrame) { try decoder.next() }
  }

  @Test func `a stream that ends inside a frame is truncated, at every place but a boundary`() throws {
    let bytes = ControllerMessage.report(nonce).encode()
    for end in 1..<bytes.count {
      var decoder = FrameDecoder()
      decoder.feed(bytes[..<end])
      #expect(try decoder.next() == nil)
      #expect(throws: WireProblem.truncatedFrame(have: end)) { try decoder.finish() }
    }
    #expect(throws: Never.self) { try FrameDecoder().finish() }
  }

  @Test func `a long stream of small frames does not grow the buffer`() throws {
    var decoder = FrameDecoder()
    let half = ControllerMessage.goodbye.encode()
    // Never at a boundary, so the buffer is never simply emptied.
    decoder.feed(half.prefix(2))
    for _ in 0..<50_000 {
      decoder.feed(half.suffix(3) + half.prefix(2))
      #expect(try decoder.next() != nil)
    }
    #expect(throws: WireProblem.truncatedFrame(have: 2)) { try decoder.finish() }
  }
}
