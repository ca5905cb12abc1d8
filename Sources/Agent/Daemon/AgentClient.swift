internal import Core
internal import Glibc
package import Wire

/// Asks the running daemon on this machine, the way a controller does.
package enum AgentClient {
  /// Blocks until the report is there, at most about `patience` for each step.
  package static func report(socket path: String, patience: Duration = .seconds(120)) throws -> Report {
    do {
      return try ask(path, patience)
    } catch {
      throw Failure("ask the agent for a report", because: error, hint: "is portcullis-agent running?")
    }
  }

  private static func ask(_ path: String, _ patience: Duration) throws -> Report {
    let socket = try UnixSocket.connect(to: path)
    var time = timeval(tv_sec: time_t(patience.components.seconds), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(socket.number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
    var session = ControllerSession()
    let request = [session.hello(), session.report(.random()), session.goodbye()].flatMap { $0.encode() }
    let bytes = Preamble(sshConnection: nil).bytes + request
    // A few dozen bytes: they fit the socket's buffer whole or not at all.
    guard Nonblocking.send(socket.number, bytes[...]) == .bytes(bytes.count) else {
      throw SystemCallError.last("send", path)
    }
    var decoder = FrameDecoder()
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      while let frame = try decoder.next() {
        switch try session.receive(AgentMessage(frame: frame)) {
        case .report(let report): return report
        case .refused(_, let refusal): throw Reason(SafeText.escape(refusal.detail))
        case .hello, .staged, .applied, .outcome, .done, .text, nil: break
        }
      }
      switch Nonblocking.read(socket.number, into: &buffer) {
      case .bytes(let count): decoder.feed(buffer[..<count])
      case .wouldBlock: throw Reason("no answer in \(patience.components.seconds) seconds")
      case .end: throw Reason("it closed the connection without an answer")
      case .broken: throw SystemCallError.last("read", path)
      }
    }
  }
}
