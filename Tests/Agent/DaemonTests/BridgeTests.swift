import Core
import Daemon
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

@Suite struct BridgeTests {
  /// A bridge on a thread, with pipes where sshd would be.
  final class RunningBridge: Sendable {
    let input: Int32
    let output: Int32
    private let done = DispatchSemaphore(value: 0)
    private let failure = Mutex<String?>(nil)

    init(_ socket: String, _ preamble: Preamble) {
      var up: [Int32] = [0, 0]
      var down: [Int32] = [0, 0]
      pipe(&up)
      pipe(&down)
      (input, output) = (up[1], down[0])
      let (reading, writing) = (up[0], down[1])
      Thread { [self] in
        do {
          try Bridge(input: reading, output: writing, socket: socket).run(preamble)
        } catch {
          let chain = ErrorChain(error)
          failure.withLock { $0 = chain.message + "|" + chain.hints.joined() }
        }
        close(reading)
        close(writing)
        done.signal()
      }.start()
    }

    deinit { close(output) }

    func send(_ bytes: [UInt8]) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }

    /// Everything until the bridge closes its output.
    func readAll() -> [UInt8] {
      var all: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = read(output, &buffer, buffer.count)
        guard count > 0 else { return all }
        all += buffer[..<count]
      }
    }

    func end() -> String? {
      guard done.wait(timeout: .now() + 10) == .success else { return "the bridge did not end" }
      return failure.withLock { $0 }
    }
  }

  static func messages(_ bytes: [UInt8]) throws -> [AgentMessage] {
    var decoder = FrameDecoder()
    decoder.feed(bytes)
    var all: [AgentMessage] = []
    while let frame = try decoder.next() { all.append(try AgentMessage(frame: frame)) }
    try decoder.finish()
    return all
  }

  @Test func `a conversation goes through, and the daemon learns where it came from`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    daemon.operations.state.withLock { $0.text = Array(repeating: 3, count: 2_000_000) }
    let bridge = RunningBridge(daemon.socket, Preamble(sshConnection: "2001:db8::5 4000 2001:db8::1 22"))
    let requests: [ControllerMessage] = [
      .apply(Sample.transaction, manifest: Sample.manifest, .standard),
      .text(TextRequest(family: .ipv6, side: .expected)),
      .report(Sample.nonce), .goodbye,
    ]
    bridge.send(
      ControllerMessage.hello(version: 5).encode() + Sample.staging(rules: 2_000_000)
        + requests.flatMap { $0.encode() })
    let answers = try Self.messages(bridge.readAll())
    close(bridge.input)
    #expect(bridge.end() == nil)
    #expect(Set(answers.map(\.type)) == [.agentHello, .staged, .outcome, .text, .report])
    #expect(daemon.operations.log.last == "report for 2001:db8::5")
  }

  @Test func `the end of our input is passed on, and answers still come`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let bridge = RunningBridge(daemon.socket, Preamble(sshConnection: nil))
    bridge.send([ControllerMessage.hello(version: 5), .report(Sample.nonce)].flatMap { $0.encode() })
    close(bridge.input)
    #expect(try Self.messages(bridge.readAll()).map(\.type) == [.agentHello, .report])
    #expect(bridge.end() == nil)
  }

  @Test func `a daemon that closes while we are still sending ends the bridge with its last words out`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    signal(SIGPIPE, SIG_IGN)
    let bridge = RunningBridge(daemon.socket, Preamble(sshConnection: nil))
    bridge.send([0xff, 0xff, 0xff, 0xff] + Array(repeating: 0, count: 300_000))
    let answers = try Self.messages(bridge.readAll())
    close(bridge.input)
    #expect(answers.map(\.type) == [.agentHello, .refused])
    #expect(bridge.end() == nil)
  }

  @Test func `a reader that goes away ends the bridge`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let bridge = RunningBridge(daemon.socket, Preamble(sshConnection: nil))
    bridge.send(ControllerMessage.hello(version: 5).encode())
    let null = open("/dev/null", O_RDONLY)
    // Closes the reading end of the pipe, and keeps its number taken.
    dup2(null, bridge.output)
    close(null)
    #expect(bridge.end() == nil)
    close(bridge.input)
  }

  @Test func `without a daemon there is one error, with a hint`() {
    let bridge = RunningBridge("/nonexistent/agent.sock", Preamble(sshConnection: nil))
    let end = bridge.end()
    #expect(end?.hasPrefix("reach the agent: connect /nonexistent/agent.sock: ") == true)
    #expect(end?.hasSuffix("|is portcullis-agent running?") == true)
    close(bridge.input)
  }

  @Test func `a report can be asked for on the host itself`() throws {
    let daemon = try RunningDaemon()
    #expect(try AgentClient.report(socket: daemon.socket).host.description == "h001")
    daemon.stop()
    #expect(throws: Failure.self) { try AgentClient.report(socket: daemon.socket) }
  }
}
