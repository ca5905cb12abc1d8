internal import Core
internal import Glibc
package import Wire

/// Asks the running daemon on this machine, the way a controller does.
package enum AgentClient {
  /// Blocks until the report is there, at most about `patience` for each step.
  package static func report(socket path: String, patience: Duration = .seconds(120)) throws -> Report {
    do {
      let socket = try UnixSocket.connect(to: path)
      return try ask(socket, path, patience, { $0.report(.random()) }) { event in
        if case .report(let report) = event { report } else { nil }
      }
    } catch {
      throw Failure("ask the agent for a report", because: error, hint: "is portcullis-agent running?")
    }
  }

  /// Has the daemon carry out an order of root's. Nil when no daemon listens there.
  package static func obey(
    _ order: LocalOrder, socket path: String, patience: Duration = .seconds(120)
  ) throws -> String? {
    guard let socket = try connectIfServed(path) else { return nil }
    do {
      return try ask(socket, path, patience, { $0.local(order) }) { event in
        if case .done(let words) = event { words } else { nil }
      }
    } catch {
      throw Failure("have the running agent do it", because: error)
    }
  }

  private static func connectIfServed(_ path: String) throws -> Descriptor? {
    do {
      return try UnixSocket.connect(to: path)
    } catch {
      guard error.errno == ENOENT || error.errno == ECONNREFUSED else { throw error }
      return nil
    }
  }

  /// Makes one request, and waits for the event that answers it.
  private static func ask<Value>(
    _ socket: Descriptor, _ path: String, _ patience: Duration,
    _ request: (inout ControllerSession) -> ControllerMessage, _ answer: (ControllerEvent) -> Value?
  ) throws -> Value {
    var time = timeval(tv_sec: time_t(patience.components.seconds), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(socket.number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
    var session = ControllerSession()
    let messages = [session.hello(), request(&session), session.goodbye()].flatMap { $0.encode() }
    let bytes = Preamble(sshConnection: nil).bytes + messages
    // A few hundred bytes: they fit the socket's buffer whole or not at all.
    guard Nonblocking.send(socket.number, bytes[...]) == .bytes(bytes.count) else {
      throw SystemCallError.last("send", path)
    }
    var decoder = FrameDecoder()
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      while let frame = try decoder.next() {
        guard let event = try session.receive(AgentMessage(frame: frame)) else { continue }
        if let value = answer(event) { return value }
        if case .refused(_, let refusal) = event {
          throw Failure(
            "it refused", because: Reason(SafeText.escape(refusal.detail)),
            kind: refusal.code == .notLocal ? .refused : .error)
        }
      }
      switch Nonblocking.read(socket.number, into: &buffer) {
      case .bytes(let count): decoder.feed(buffer[..<count])
      case .wouldBlock:
        throw Failure(
          "wait for its answer", because: Reason("none came in \(patience.components.seconds) seconds"),
          hint: "if it hangs, end it and try again: systemctl kill -s KILL portcullis-agent")
      case .end: throw Reason("it closed the connection without an answer")
      case .broken: throw SystemCallError.last("read", path)
      }
    }
  }
}
