internal import CLibSSH
internal import Core
internal import Glibc

/// A `direct-tcpip` channel of a bastion joined to a socket pair: what the inner session writes to its end goes through
/// the channel, and back. Both directions hold at most one piece; the rest waits in the window and in the socket.
final class Tunnel: ChannelUser {
  static let pieceSize = 16 << 10
  static let maximumUnread = 4 << 20

  let id: UInt64
  private let core: LoopCore
  private weak var connection: Connection?
  private let host: String
  private let port: UInt16
  private var completion: ((Result<Int32, Reason>) -> Void)?
  private var channel: SSHChannel?
  private var descriptor: Int32 = -1
  private var token: UInt64 = 0
  private var armed: UInt32 = 0
  /// From the bastion, for the socket.
  private var inward: ArraySlice<UInt8> = []
  /// From the socket, for the bastion.
  private var outward: ArraySlice<UInt8> = []
  private var isOpen = false
  private var isInwardAtEnd = false

  /// `completion` gets the descriptor for the inner session, which takes it over.
  init(connection: Connection, host: String, port: UInt16, completion: @escaping (Result<Int32, Reason>) -> Void) {
    core = connection.core
    id = core.mailbox.makeID()
    self.connection = connection
    self.host = host
    self.port = port
    self.completion = completion
  }

  func start() {
    guard let channel = connection?.makeChannel(for: self) else { return fail("the bastion's connection is closed") }
    self.channel = channel
    serve()
    connection?.flush()
  }

  func serve() {
    guard let channel else { return }
    guard isOpen else {
      switch channel.open(to: host, port: port) {
      case .again: return
      case .failed: return fail(connection?.session?.errorText ?? "closed")
      case .done: return join()
      }
    }
    move()
  }

  private func join() {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { return fail(systemMessage(errno)) }
    descriptor = pair[1]
    armed = LoopCore.mask([EPOLLIN])
    token = core.watch(descriptor, EPOLLIN) { [weak self] _ in
      self?.move()
      self?.connection?.flush()
    }
    guard token != 0 else {
      Glibc.close(pair[0])
      return fail(systemMessage(errno))
    }
    isOpen = true
    connection?.settle(id, true)
    let completion = completion
    self.completion = nil
    completion?(.success(pair[0]))
    move()
  }

  private func move() {
    guard isOpen, moveInward(), moveOutward() else { return }
    var events: UInt32 = 0
    if outward.isEmpty { events |= EPOLLIN.rawValue }
    if !inward.isEmpty { events |= EPOLLOUT.rawValue }
    // Room to write is made by the bastion's window or by its socket; either serves this again.
    connection?.settle(id, outward.isEmpty)
    guard events != armed else { return }
    armed = events
    core.rearm(token, descriptor, events: events)
  }

  /// False when the tunnel is gone.
  private func moveInward() -> Bool {
    guard let channel, let connection else { return false }
    for _ in 0..<4 {
      if inward.isEmpty {
        switch channel.read(.output, atMost: Self.maximumUnread) {
        case .again: return true
        case .failed:
          close()
          return false
        case .done(nil):
          isInwardAtEnd = true
          // The inner session sees the end of its stream and says what it means.
          close()
          return false
        case .done(.some(let bytes)): inward = bytes[...]
        }
      }
      let count = inward.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count >= 0 else {
        if errno == EAGAIN || errno == EINTR { return isWithinWindow(channel, connection) }
        close()
        return false
      }
      inward = inward.dropFirst(count)
    }
    // More may be left in libssh, which will not say so again.
    if case .done(.some) = channel.available(.output) { connection.awaitSocket(id) }
    return true
  }

  private func isWithinWindow(_ channel: SSHChannel, _ connection: Connection) -> Bool {
    guard case .done(.some(let count)) = channel.available(.output), count > Self.maximumUnread else { return true }
    connection.fail(.protocolViolation, "it sends more than its window allows")
    return false
  }

  private func moveOutward() -> Bool {
    guard let channel, let connection else { return false }
    for _ in 0..<4 {
      if outward.isEmpty {
        let count = recv(descriptor, core.scratch.baseAddress, Self.pieceSize, 0)
        guard count > 0 else {
          if count < 0, errno == EAGAIN || errno == EINTR { return true }
          close()
          return false
        }
        outward = Array(core.scratch[0..<count])[...]
      }
      guard connection.canWrite else {
        connection.awaitSocket(id)
        return true
      }
      guard channel.writableBytes > 0 else { return true }
      switch channel.write(outward.prefix(channel.writableBytes)) {
      case .again: return true
      case .failed:
        close()
        return false
      case .done(let count): outward = outward.dropFirst(count)
      }
    }
    return true
  }

  private func fail(_ why: String) {
    let completion = completion
    self.completion = nil
    close()
    completion?(.failure(Reason(why)))
  }

  func close() {
    channel?.free()
    channel = nil
    connection?.forget(id)
    closeDescriptor()
    connection?.flush()
  }

  private func closeDescriptor() {
    isOpen = false
    guard descriptor >= 0 else { return }
    core.unwatch(token, descriptor)
    Glibc.close(descriptor)
    descriptor = -1
  }

  func connectionEnded(_ error: TransportError) {
    channel?.abandon()
    channel = nil
    let completion = completion
    self.completion = nil
    closeDescriptor()
    completion?(.failure(Reason(error.detail)))
  }
}
