internal import Core
internal import Glibc

/// Logs a session in with keys that ssh-agent holds.
///
/// libssh asks an agent with blocking calls, and offers all its keys until the host hangs up. So libssh never sees the
/// agent: for each key it is given one end of a socket pair, in which we stand for an agent that holds that one key.
/// The first time the answer to the signature request is the end of the stream, and libssh gives up before it has sent
/// anything, while we have read what there is to sign. The real agent signs it, asked without waiting; the second time
/// the answer lies ready. What is signed covers the session, the user and the key, and does not change between.
final class AgentLogin {
  /// OpenSSH hangs up after six refused attempts (MaxAuthTries).
  static let maximumKeys = 5

  enum Outcome {
    case accepted
    case partial
    /// The host took none of the keys; how many there were.
    case refused(Int)
    case agentFailed(String)
    case connectionLost
  }

  private enum State {
    case asking
    /// The host is asked whether it takes the key; the signature request is recorded.
    case probing(ours: Int32)
    case signing
    case completing(ours: Int32)
  }

  private let session: SSHSession
  private let agent: AgentSocket
  private let resume: () -> Void
  private var state = State.asking
  private var keys: [[UInt8]]
  private var next = 0
  private var outcome: Outcome?

  /// Offers `key`, or all keys of the agent when nil. `resume` is called when `drive` has something to do again.
  init(core: LoopCore, session: SSHSession, path: String, key: [UInt8]?, resume: @escaping () -> Void) {
    self.session = session
    self.resume = resume
    agent = AgentSocket(core: core, path: path)
    keys = key.map { [$0] } ?? []
    if key != nil {
      offerNext()
    } else {
      agent.request([AgentSocket.MessageType.requestIdentities]) { [weak self] in self?.listed($0) }
    }
  }

  deinit { closeOurs() }

  func drive() -> Step<Outcome> {
    while true {
      if let outcome { return .done(outcome) }
      switch state {
      case .asking, .signing: return .again
      case .probing(let ours):
        switch session.authenticateWithAgent() {
        case .again: return .again
        case .done(.refused): offerNext()
        // Nothing was signed yet: whoever accepts now is not to be trusted with more.
        case .done(.accepted), .done(.partial): end(.connectionLost)
        case .failed: sign(recorded: ours)
        }
      case .completing:
        switch session.authenticateWithAgent() {
        case .again: return .again
        case .done(.accepted): end(.accepted)
        case .done(.partial): end(.partial)
        case .done(.refused): offerNext()
        case .failed: end(.connectionLost)
        }
      }
    }
  }

  private func end(_ outcome: Outcome) {
    closeOurs()
    session.releaseAgent()
    agent.close()
    self.outcome = outcome
  }

  private func closeOurs() {
    switch state {
    case .probing(let ours), .completing(let ours): close(ours)
    case .asking, .signing: break
    }
    state = .signing
  }

  private func listed(_ answer: Result<[UInt8], Reason>) {
    switch answer {
    case .failure(let reason): end(.agentFailed("\(reason)"))
    case .success(let message):
      guard let found = Self.identities(message) else {
        end(.agentFailed("it does not list its keys"))
        break
      }
      keys = Array(found.prefix(Self.maximumKeys))
      if keys.isEmpty { end(.agentFailed("it holds no keys")) } else { offerNext() }
    }
    resume()
  }

  private func offerNext() {
    closeOurs()
    guard next < keys.count else { return end(.refused(keys.count)) }
    next += 1
    guard let ours = standIn(answers: [Self.answer(key: keys[next - 1])]) else {
      return end(.agentFailed(systemMessage(errno)))
    }
    state = .probing(ours: ours)
  }

  /// `recorded` is the end libssh wrote its two requests to.
  private func sign(recorded ours: Int32) {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(ours, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    var reader = ByteReader(Array(buffer.prefix(max(0, count))))
    _ = try? reader.string("request", atMost: 64)
    guard let request = try? reader.string("request", atMost: 32 << 10),
      request.first == AgentSocket.MessageType.signRequest
    else { return end(.connectionLost) }
    closeOurs()
    agent.request(Array(request)) { [weak self] in self?.signed($0) }
  }

  private func signed(_ answer: Result<[UInt8], Reason>) {
    switch answer {
    case .failure(let reason): end(.agentFailed("\(reason)"))
    case .success(let message):
      if message.first != AgentSocket.MessageType.signResponse {
        end(.agentFailed("it does not sign with the key: it does not hold it, or was told not to"))
      } else if let ours = standIn(answers: [Self.answer(key: keys[next - 1]), message]) {
        state = .completing(ours: ours)
      } else {
        end(.agentFailed(systemMessage(errno)))
      }
    }
    resume()
  }

  /// Gives libssh one end of a socket pair with the answers in it and nothing after them; the other end is returned.
  /// Blocking on libssh's side, and yet it never waits: each read finds bytes or the end, and its writes are small.
  private func standIn(answers: [[UInt8]]) -> Int32? {
    var pair: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else { return nil }
    var writer = ByteWriter()
    for answer in answers { writer.string(answer) }
    let bytes = writer.bytes
    guard send(pair[1], bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) == bytes.count,
      shutdown(pair[1], Int32(SHUT_WR)) == 0
    else {
      close(pair[0])
      close(pair[1])
      return nil
    }
    guard session.useAgent(takeOwnershipOf: pair[0]) else {
      close(pair[1])
      return nil
    }
    return pair[1]
  }

  static func answer(key: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.uint8(AgentSocket.MessageType.identitiesAnswer)
    writer.uint32(1)
    writer.string(key)
    writer.text("-")
    return writer.bytes
  }

  static func identities(_ message: [UInt8]) -> [[UInt8]]? {
    do throws(ByteReader.Problem) {
      var reader = ByteReader(message)
      guard try reader.uint8("type") == AgentSocket.MessageType.identitiesAnswer else { return nil }
      let count = try reader.uint32("number of keys")
      guard count <= 1024 else { return nil }
      var keys: [[UInt8]] = []
      for _ in 0..<count {
        keys.append(Array(try reader.string("key", atMost: 16 << 10)))
        _ = try reader.string("comment", atMost: 16 << 10)
      }
      return keys
    } catch {
      return nil
    }
  }
}
