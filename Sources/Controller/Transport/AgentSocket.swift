internal import CLibSSH
internal import Core
internal import Glibc

/// A conversation with ssh-agent (draft-miller-ssh-agent) that never waits: a touch of a security key takes seconds.
final class AgentSocket {
  /// As libssh has it.
  static let maximumAnswer = 256 << 10

  enum MessageType {
    static let requestIdentities: UInt8 = 11
    static let identitiesAnswer: UInt8 = 12
    static let signRequest: UInt8 = 13
    static let signResponse: UInt8 = 14
  }

  private let core: LoopCore
  private let path: String
  private var descriptor: Int32 = -1
  private var token: UInt64 = 0
  private var retry: UInt64 = 0
  private var outgoing: [UInt8] = []
  private var incoming: [UInt8] = []
  private var completion: ((Result<[UInt8], Reason>) -> Void)?

  init(core: LoopCore, path: String) {
    self.core = core
    self.path = path
  }

  deinit { close() }

  /// Sends one message (type and contents, without its length) and gives the answer's. One at a time.
  func request(_ message: [UInt8], completion: @escaping (Result<[UInt8], Reason>) -> Void) {
    self.completion = completion
    var writer = ByteWriter()
    writer.string(message)
    outgoing = writer.bytes
    incoming = []
    move()
  }

  private func move() {
    guard completion != nil else { return }
    if descriptor < 0 {
      switch connect() {
      case 0: break
      case EAGAIN, EINTR:
        // Its queue is full: many of our connections ask at once.
        retry = core.schedule(at: .now + .milliseconds(20)) { [weak self] in self?.move() }
        return
      case let number: return finish(.failure(Reason(systemMessage(number))))
      }
    }
    while !outgoing.isEmpty {
      let count = outgoing.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return core.rearm(token, descriptor, events: LoopCore.mask([EPOLLIN, EPOLLOUT])) }
        return finish(.failure(Reason(systemMessage(errno))))
      }
      outgoing.removeFirst(count)
    }
    core.rearm(token, descriptor, events: LoopCore.mask([EPOLLIN]))
    receive()
  }

  private func receive() {
    while true {
      let count = recv(descriptor, core.scratch.baseAddress, core.scratch.count, Int32(MSG_DONTWAIT))
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        return finish(.failure(Reason(systemMessage(errno))))
      }
      guard count > 0 else { return finish(.failure(Reason("it closed the connection"))) }
      incoming += core.scratch[0..<count]
      guard incoming.count >= 4 else { continue }
      let length = incoming[0..<4].reduce(0) { $0 << 8 | Int($1) }
      guard length >= 1, length <= Self.maximumAnswer, incoming.count <= length + 4 else {
        return finish(.failure(Reason("its answer is malformed")))
      }
      if incoming.count == length + 4 { return finish(.success(Array(incoming[4...]))) }
    }
  }

  private func finish(_ result: Result<[UInt8], Reason>) {
    guard let completion else { return }
    self.completion = nil
    if case .failure = result { close() }
    completion(result)
  }

  private func connect() -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = Array(path.utf8)
    guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let fresh = socket(AF_UNIX, type, 0)
    guard fresh >= 0 else { return errno }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(fresh, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else {
      let number = errno
      Glibc.close(fresh)
      return number
    }
    token = core.watch(fresh, EPOLLIN) { [weak self] _ in self?.move() }
    guard token != 0 else {
      let number = errno
      Glibc.close(fresh)
      return number
    }
    descriptor = fresh
    return 0
  }

  func close() {
    completion = nil
    core.cancel(timer: retry)
    guard descriptor >= 0 else { return }
    core.unwatch(token, descriptor)
    Glibc.close(descriptor)
    descriptor = -1
  }
}
