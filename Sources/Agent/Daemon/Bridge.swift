package import Core
internal import Glibc

/// Joins standard input and output with the daemon's socket: the forced command, and login shell, of the unprivileged
/// user. It knows nothing of the protocol and decides nothing.
package struct Bridge {
  private let input: Int32
  private let output: Int32
  private let socketPath: String

  package init(input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO, socket: String) {
    self.input = input
    self.output = output
    socketPath = socket
  }

  /// Returns when the daemon has closed and everything it said was handed on. The end of our input is passed on as the
  /// end of the socket's, and answers still come.
  package func run(_ preamble: Preamble) throws(Failure) {
    Signals.ignoreBrokenPipes()
    do throws(SystemCallError) {
      let socket = try UnixSocket.connect(to: socketPath)
      try UnixSocket.setNonblocking(socket, socketPath)
      let flags = [input, output].map { ($0, fcntl($0, F_GETFL)) }
      for (descriptor, flags) in flags { _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
      // Whoever gave them to us may share them with others.
      defer { for (descriptor, flags) in flags { _ = fcntl(descriptor, F_SETFL, flags) } }
      try copy(socket, preamble)
    } catch {
      throw Failure("reach the agent", because: error, hint: "is portcullis-agent running?")
    }
  }

  /// One direction: bytes read and not yet written.
  private struct Direction {
    static let capacity = 64 << 10
    var bytes = OutputBuffer()
    var sawEnd = false
    var wantsInput: Bool { !sawEnd && bytes.count < Self.capacity }
  }

  private func copy(_ socket: Descriptor, _ preamble: Preamble) throws(SystemCallError) {
    var up = Direction()
    var down = Direction()
    up.bytes.append(preamble.bytes)
    var passedEnd = false
    var buffer = [UInt8](repeating: 0, count: Direction.capacity)
    while !(down.sawEnd && down.bytes.isEmpty) {
      var toSocket: Int32 = down.wantsInput ? POLLIN : 0
      if !up.bytes.isEmpty { toSocket |= POLLOUT }
      // A negative descriptor is passed over: one that has nothing to tell would only report its hang-up for ever.
      var polled = [
        pollfd(fd: up.wantsInput ? input : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: toSocket == 0 ? -1 : socket.number, events: Int16(toSocket), revents: 0),
        // Without events: to learn that the other side is gone.
        pollfd(fd: output, events: Int16(down.bytes.isEmpty ? 0 : POLLOUT), revents: 0),
      ]
      if poll(&polled, 3, -1) < 0 {
        guard errno == EINTR else { throw .last("poll", socketPath) }
        continue
      }
      if polled[0].revents != 0 {
        switch Nonblocking.read(input, into: &buffer) {
        case .bytes(let count): up.bytes.append(buffer[..<count])
        case .wouldBlock: break
        case .end, .broken: up.sawEnd = true
        }
      }
      if polled[1].revents != 0 {
        if down.wantsInput {
          switch Nonblocking.read(socket.number, into: &buffer) {
          case .bytes(let count): down.bytes.append(buffer[..<count])
          case .wouldBlock: break
          // A daemon that closed before it read everything: what it said has been read by now.
          case .end, .broken: down.sawEnd = true
          }
        }
        if !up.bytes.isEmpty {
          switch Nonblocking.send(socket.number, up.bytes.pending) {
          case .bytes(let count): up.bytes.drop(count)
          case .wouldBlock: break
          case .end, .broken:
            // It reads no more, but may have said why.
            up.bytes = OutputBuffer()
            up.sawEnd = true
          }
        }
      }
      if up.sawEnd, up.bytes.isEmpty, !passedEnd {
        shutdown(socket.number, Int32(SHUT_WR))
        passedEnd = true
      }
      if !down.bytes.isEmpty {
        switch Nonblocking.write(output, down.bytes.pending) {
        case .bytes(let count): down.bytes.drop(count)
        case .wouldBlock: break
        case .end, .broken: return
        }
      } else if Int32(polled[2].revents) & (POLLERR | POLLNVAL) != 0 {
        return
      }
    }
  }
}
