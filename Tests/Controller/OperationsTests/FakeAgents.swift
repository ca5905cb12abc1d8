import Core
import Synchronization
import Transport
import Wire

/// For hosts that answer at once: other tests may keep a task waiting for its turn for longer than any network would.
let patience = Duration.seconds(600)

/// Agents that speak the real protocol over connections that exist in memory only. Each connection is one TCP
/// connection; what was said on which is kept.
final class FakeAgents: HostConnector {
  struct State {
    var connections = 0
    /// What the last connection was allowed to receive, in bytes.
    var receivedBytes = 0
    /// How often somebody wrote to us, whatever each write held.
    var writes = 0
    /// They are taken, and nothing is said to them.
    var ignoresOrders = false
    /// What was said, with the number of its connection.
    var heard: [(connection: Int, message: ControllerMessage)] = []
    /// The answer to a message on a connection; nil ends the conversation.
    var answer: @Sendable (Int, ControllerMessage) -> AgentMessage?
  }

  let state: Mutex<State>

  init(_ answer: @escaping @Sendable (Int, ControllerMessage) -> AgentMessage?) {
    state = Mutex(State(answer: answer))
  }

  var connections: Int { state.withLock { $0.connections } }

  /// The numbers of the connections on which such messages came.
  func connections(saying matches: (ControllerMessage) -> Bool) -> [Int] {
    state.withLock { $0.heard.filter { matches($0.message) }.map(\.connection) }
  }

  func connect(to endpoint: HostEndpoint, limits: ConnectionLimits) async throws(TransportError) -> any HostConnection {
    let number = state.withLock { state in
      state.connections += 1
      state.receivedBytes = limits.receivedBytes
      return state.connections
    }
    return FakeConnection(agents: self, number: number)
  }

  fileprivate func hear(_ message: ControllerMessage, on connection: Int) -> AgentMessage?? {
    let (answer, ignoresOrders) = state.withLock { state in
      state.heard.append((connection, message))
      return (state.answer, state.ignoresOrders)
    }
    if ignoresOrders, case .order = message { return .some(nil) }
    switch message {
    case .data, .goodbye: return .some(nil)
    case .hello, .stage, .apply, .confirm, .cancel, .local, .order, .report, .text, .observe, .watch:
      guard let answered = answer(connection, message) else { return nil }
      return .some(answered)
    }
  }
}

final class FakeConnection: HostConnection {
  let agents: FakeAgents
  let number: Int
  init(agents: FakeAgents, number: Int) {
    self.agents = agents
    self.number = number
  }
  var remoteAddress: String { "192.0.2.1:22" }
  func run(_ command: String?, deadline: ContinuousClock.Instant) async throws(TransportError) -> any HostChannel {
    FakeChannel(agents: agents, number: number)
  }
  func close() async {}
}

final class FakeChannel: HostChannel {
  private let agents: FakeAgents
  private let number: Int
  private let decoder = Mutex(FrameDecoder())
  private let ended = Mutex(false)
  private let output: AsyncStream<[UInt8]>
  private let sink: AsyncStream<[UInt8]>.Continuation

  init(agents: FakeAgents, number: Int) {
    self.agents = agents
    self.number = number
    (output, sink) = AsyncStream.makeStream()
  }

  func write(_ bytes: [UInt8]) async throws(TransportError) {
    agents.state.withLock { $0.writes += 1 }
    decoder.withLock { decoder in
      decoder.feed(bytes)
      while let frame = try? decoder.next(), let message = try? ControllerMessage(frame: frame) {
        guard let answer = agents.hear(message, on: number) else { return sink.finish() }
        if let answer { sink.yield(answer.encode()) }
      }
    }
  }

  func finishWriting() async throws(TransportError) {}
  func read() async throws(TransportError) -> [UInt8]? {
    var iterator = output.makeAsyncIterator()
    return await iterator.next()
  }
  func exitStatus() async throws(TransportError) -> Int32? { 0 }
  func standardError() async -> [UInt8] { [] }
  func close() async { sink.finish() }
}
