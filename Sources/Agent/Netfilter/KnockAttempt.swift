internal import Core
internal import Glibc

/// One connection to try.
struct KnockTarget: Hashable, Sendable {
  /// Which path of the plan, strangers after the managers.
  var path: Int
  var port: UInt16
}

enum KnockEnd: Hashable, Sendable {
  /// Connected, and a few bytes went there and back: what follows the first packet gets through as well.
  case open
  /// Nothing came back in time.
  case silent
  /// An answer, and it was no.
  case refused
  /// Our own stage does not let us try.
  case impossible(String)
}

/// Real TCP connections from outside to listeners inside, all at once.
struct KnockAttempt {
  let stage: KnockStage
  let plan: KnockPlan
  private let listeners: [Descriptor]
  /// Goes there and comes back. What it says does not matter.
  private static let token = Array("SSH-2.0-".utf8)

  /// Listens at every port that managers knock at, as sshd would: on every address. Strangers who get that far are
  /// answered by a refusal.
  init(_ stage: KnockStage, _ plan: KnockPlan) throws(SystemCallError) {
    self.stage = stage
    self.plan = plan
    var made: [Descriptor] = []
    for family in Set(plan.paths.map(\.source.family)) {
      let ports = Set(plan.paths.filter { $0.source.family == family }.flatMap(\.ports))
      for port in ports { made.append(try Self.listener(family, port)) }
    }
    listeners = made
  }

  /// Tries until every path has opened or has nothing left to wait for.
  func run(_ targets: [KnockTarget], milliseconds: Int) throws(SystemCallError) -> [KnockEnd] {
    let everybody = plan.everybody
    var ends = [KnockEnd?](repeating: nil, count: targets.count)
    var clients: [Client] = []
    for (index, target) in targets.enumerated() {
      let path = everybody[target.path]
      let device = path.interface.flatMap(stage.outerName)
      let started: Result<Client, KnockFault> =
        path.interface == nil
        ? Self.start(path, target.port, nil) : try stage.visit { Self.start(path, target.port, device) }
      switch started {
      case .success(var client):
        client.target = index
        clients.append(client)
      // From the host to itself the rules may say no at once.
      case .failure(let fault) where path.interface == nil && fault.isRefusal: ends[index] = .refused
      case .failure(let fault): ends[index] = .impossible(fault.words)
      }
    }
    let deadline = monotonicMilliseconds() + milliseconds
    var servers: [Descriptor] = []
    while !Self.isSettled(targets, ends) {
      let left = deadline - monotonicMilliseconds()
      guard left > 0 else { break }
      var waiting = listeners.map { pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0) }
      waiting += servers.map { pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0) }
      waiting += clients.map { client in
        let events = ends[client.target] != nil ? 0 : client.isConnected ? POLLIN : POLLOUT
        return pollfd(fd: events == 0 ? -1 : client.file.raw, events: Int16(events), revents: 0)
      }
      if poll(&waiting, nfds_t(waiting.count), Int32(left)) < 0, errno != EINTR { throw .last("poll", "") }
      let known = servers.count
      for index in listeners.indices where waiting[index].revents != 0 {
        let raw = accept(listeners[index].raw, nil, nil)
        guard raw >= 0 else { continue }
        _ = fcntl(raw, F_SETFL, O_NONBLOCK)
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        servers.append(Descriptor(takingOwnershipOf: raw))
      }
      for index in (0..<known).reversed() where waiting[listeners.count + index].revents != 0 {
        // Sends back what it got; one that has ended would wake us for ever.
        if !Self.echo(servers[index].raw) { servers.remove(at: index) }
      }
      for index in clients.indices where waiting[listeners.count + known + index].revents != 0 {
        ends[clients[index].target] = clients[index].advance(Self.token)
      }
    }
    return ends.map { $0 ?? .silent }
  }

  /// Whether each path has opened or all of its connections have ended.
  private static func isSettled(_ targets: [KnockTarget], _ ends: [KnockEnd?]) -> Bool {
    let open = Set(targets.indices.filter { ends[$0] == .open }.map { targets[$0].path })
    return targets.indices.allSatisfy { ends[$0] != nil || open.contains(targets[$0].path) }
  }

  private struct KnockFault: Error {
    var words: String
    var isRefusal: Bool
  }

  private struct Client {
    let file: Descriptor
    var target = 0
    var isConnected = false
    var received = 0

    /// Nil while it goes on.
    mutating func advance(_ token: [UInt8]) -> KnockEnd? {
      if !isConnected {
        var fault: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(file.raw, SOL_SOCKET, SO_ERROR, &fault, &length) == 0, fault == 0,
          send(file.raw, token, token.count, Int32(MSG_NOSIGNAL)) == token.count
        else { return .refused }
        isConnected = true
        return nil
      }
      var bytes = [UInt8](repeating: 0, count: token.count)
      let count = recv(file.raw, &bytes, bytes.count, Int32(MSG_DONTWAIT))
      if count < 0, errno == EAGAIN || errno == EINTR { return nil }
      guard count > 0 else { return .refused }
      received += count
      return received >= token.count ? .open : nil
    }
  }

  private static func start(_ path: KnockPlan.Path, _ port: UInt16, _ device: String?) -> Result<Client, KnockFault> {
    func fault(_ call: String) -> Result<Client, KnockFault> {
      let number = errno
      return .failure(
        KnockFault(
          words: SystemCallError.of(call, "\(path.destination)", errno: number).description,
          isRefusal: number == EPERM || number == ECONNREFUSED || number == EACCES || number == EHOSTUNREACH))
    }
    let raw = stream(path.source)
    guard raw >= 0 else { return fault("socket") }
    let file = Descriptor(takingOwnershipOf: raw)
    if let device {
      guard setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, device, socklen_t(device.utf8.count)) == 0 else {
        return fault("bind to \(device)")
      }
    }
    guard path.source.withSocketAddress(port: 0, { bind(raw, $0, $1) }) == 0 else { return fault("bind") }
    let status = path.destination.withSocketAddress(port: port) { connect(raw, $0, $1) }
    guard status == 0 || errno == EINPROGRESS else { return fault("connect to") }
    return .success(Client(file: file))
  }

  private static func listener(_ family: Family, _ port: UInt16) throws(SystemCallError) -> Descriptor {
    guard let any = IPAddress(family == .ipv4 ? "0.0.0.0" : "::") else { throw .of("listen", "", errno: EINVAL) }
    let raw = stream(any)
    guard raw >= 0 else { throw .last("socket", "\(family)") }
    let file = Descriptor(takingOwnershipOf: raw)
    var on: Int32 = 1
    if family == .ipv6 {
      setsockopt(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    guard any.withSocketAddress(port: port, { bind(raw, $0, $1) }) == 0 else { throw .last("bind", "port \(port)") }
    guard listen(raw, 128) == 0 else { throw .last("listen", "port \(port)") }
    return file
  }

  private static func stream(_ address: IPAddress) -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return socket(address.number, kind, 0)
  }

  private static func echo(_ file: Int32) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = recv(file, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    return count > 0 && send(file, bytes, count, Int32(MSG_NOSIGNAL)) == count
  }
}
