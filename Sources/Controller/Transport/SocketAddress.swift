internal import Core
internal import Glibc

/// A numeric address and port.
struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  let family: Int32
  /// A sockaddr of that family.
  let bytes: [UInt8]
  /// `192.0.2.1:22` or `[2001:db8::1]:22`.
  let description: String

  /// Nil unless `text` is a numeric address (with a zone, for link-local ones); no name service is asked.
  init?(numeric text: String, port: UInt16) {
    guard case .success(let found) = Self.lookUp(text, port: port, numericOnly: true), let first = found.first else {
      return nil
    }
    self = first
  }

  private init?(_ info: addrinfo) {
    guard let address = info.ai_addr, info.ai_family == AF_INET || info.ai_family == AF_INET6 else { return nil }
    family = info.ai_family
    bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen)))
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    guard
      getnameinfo(
        address, info.ai_addrlen, &host, socklen_t(host.count), &service, socklen_t(service.count),
        NI_NUMERICHOST | NI_NUMERICSERV) == 0
    else { return nil }
    func text(_ c: [CChar]) -> String {
      String(decoding: c.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    description = family == AF_INET6 ? "[\(text(host))]:\(text(service))" : "\(text(host)):\(text(service))"
  }

  /// Blocks on the name service unless `numericOnly`.
  static func lookUp(_ name: String, port: UInt16, numericOnly: Bool = false) -> Result<[SocketAddress], Reason> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : 0)
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(name, String(port), &hints, &list)
    guard result == 0 else { return .failure(Reason(gai_strerror(result).map { String(cString: $0) } ?? "not found")) }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = list
    while let info = next?.pointee {
      if let address = SocketAddress(info), !addresses.contains(address) { addresses.append(address) }
      next = info.ai_next
    }
    return addresses.isEmpty ? .failure(Reason("no address")) : .success(addresses)
  }

  /// Begins to connect without waiting: the descriptor and 0, EINPROGRESS or what went wrong at once.
  func connect() -> (descriptor: Int32, errno: Int32) {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return (-1, errno) }
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    // A host that vanished is noticed 30 s after something was sent to it, an idle one within about two minutes.
    set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 30_000)
    set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60)
    set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 15)
    set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 4)
    // Urgent bytes stay in the stream, so that looking ahead sees just what reading will.
    set(descriptor, SOL_SOCKET, SO_OOBINLINE, 1)
    let result = bytes.withUnsafeBytes { raw in
      raw.baseAddress.map {
        Glibc.connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
      } ?? -1
    }
    if result == 0 { return (descriptor, 0) }
    let number = errno
    guard number != EINPROGRESS else { return (descriptor, EINPROGRESS) }
    close(descriptor)
    return (-1, number)
  }

  private func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
