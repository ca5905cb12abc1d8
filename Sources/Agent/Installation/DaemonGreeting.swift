internal import Core
internal import Wire

/// The daemon greets whoever connects: hearing it is the proof that it runs, serves and speaks our protocol.
enum DaemonGreeting {
  static func hear(at path: String, within deadline: Deadline) throws {
    let socket = try LocalSocket(connecting: path)
    try socket.write(Array("source -\n".utf8))
    var decoder = FrameDecoder()
    while true {
      if let frame = try decoder.next() {
        guard case .hello(let hello) = try AgentMessage(frame: frame) else { throw Reason("it did not greet") }
        guard hello.version == ProtocolVersion.current else {
          throw Reason("it speaks protocol \(hello.version), not \(ProtocolVersion.current)")
        }
        return
      }
      let bytes = try socket.read(within: deadline)
      guard !bytes.isEmpty else { throw Reason("it closed the connection") }
      decoder.feed(bytes)
    }
  }
}
