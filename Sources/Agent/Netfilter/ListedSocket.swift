internal import Core
internal import Wire

/// A socket of this network namespace as the kernel lists it (sock_diag(7)): never of another namespace, and with its
/// owner, whoever asks.
struct ListedSocket: Hashable, Sendable {
  var address: IPAddress
  var port: UInt16
  var user: UInt32
  var inode: UInt32
  /// Whose process made it; nil before Linux 5.8.
  var cgroup: UInt64?
  /// IPV6_V6ONLY.
  var isForIPv6Alone = false

  /// TCP_LISTEN and TCP_CLOSE of net/tcp_states.h; the second is also of UDP that is connected to nobody.
  private static let (listen, closed): (UInt32, UInt32) = (10, 7)

  /// Of those that are wanted; more are not looked at.
  static let maximum = 4096

  /// TCP sockets of root's that listen for others, in both families. What anybody else opens, and what only the host itself
  /// reaches, is passed over as it comes: a user who opens thousands hides nothing.
  static func listeningForOthers() throws -> [ListedSocket] {
    return try Family.allCases.flatMap { family in
      try list(family, 6, states: 1 << listen, filter: []) { $0.user == 0 && !$0.address.isLoopback }
    }
  }

  /// Where anybody's programs wait for others, of either transport.
  static func waiting() throws -> ListeningReport {
    let states: [(ListeningReport.Socket.Transport, UInt32)] = [(.tcp, listen), (.udp, closed)]
    return ListeningReport(
      try states.flatMap { transport, state in
        try Family.allCases.flatMap { family in
          try list(family, transport.rawValue, states: 1 << state, filter: []) { !$0.address.isLoopback }
            .flatMap { $0.reached(transport) }
        }
      })
  }

  /// A socket of IPv6 may take IPv4 too.
  private func reached(_ transport: ListeningReport.Socket.Transport) -> [ListeningReport.Socket] {
    let isAny = address.bytes.allSatisfy { $0 == 0 }
    let takesBoth = isAny && address.family == .ipv6 && !isForIPv6Alone
    let addresses = [address.unmapped.bytes] + (takesBoth ? [[0, 0, 0, 0]] : [])
    return addresses.compactMap { ListeningReport.Socket(transport, $0, port: port) }
  }

  /// Whether a UDP socket of the family is bound to the port.
  static func isBound(_ family: Family, udp port: UInt16) throws -> Bool {
    try !list(family, 17, states: .max, filter: filter(port: port)).isEmpty
  }

  private static func list(
    _ family: Family, _ transport: UInt8, states: UInt32, filter: [UInt8],
    where isWanted: (ListedSocket) -> Bool = { _ in true }
  ) throws -> [ListedSocket] {
    let number: UInt8 = family == .ipv4 ? 2 : 10
    // SOCK_DIAG_BY_FAMILY, struct inet_diag_req_v2; INET_DIAG_REQ_BYTECODE 1.
    let request = NetlinkMessage(
      20, flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump,
      fixed: [number, transport, 0, 0] + NetlinkMessage.native(states) + [UInt8](repeating: 0, count: 48),
      attributes: filter.isEmpty ? [] : [NetlinkMessage.attribute(1, filter)])
    var found: [ListedSocket] = []
    _ = try NetlinkSocket(NetlinkSocket.sockets).dump(request, "list sockets", of: 20) { reply in
      if let socket = ListedSocket(reply), isWanted(socket) { found.append(socket) }
      return found.count < maximum
    }
    return found
  }

  /// What the kernel runs for each socket so that only those bound to the port are listed: at least it, and at most it
  /// (linux/inet_diag.h). Each operation is followed by one that holds its number; a jump over the end is a no.
  static func filter(port: UInt16) -> [UInt8] {
    func operation(_ code: UInt8, yes: UInt8, no: UInt16) -> [UInt8] { [code, yes] + NetlinkMessage.native(no) }
    // INET_DIAG_BC_S_GE 2, INET_DIAG_BC_S_LE 3.
    return operation(2, yes: 8, no: 20) + operation(0, yes: 0, no: port) + operation(3, yes: 8, no: 12)
      + operation(0, yes: 0, no: port)
  }

  /// struct inet_diag_msg; INET_DIAG_SKV6ONLY 11, INET_DIAG_CGROUP_ID 21.
  init?(_ reply: NetlinkReply) {
    let size = 72
    guard reply.type == 20, reply.payload.count >= size, let family = reply.number(at: 0, as: UInt8.self),
      let port = reply.number(at: 4, as: UInt16.self), let user = reply.number(at: 64, as: UInt32.self),
      let inode = reply.number(at: 68, as: UInt32.self),
      let address = IPAddress(bytes: Array(reply.payload.dropFirst(8).prefix(family == 2 ? 4 : 16)))
    else { return nil }
    self.address = address
    self.port = UInt16(bigEndian: port)
    self.user = user
    self.inode = inode
    let attributes = reply.attributes(after: size)
    isForIPv6Alone = attributes[11]?.first == 1
    cgroup = attributes[21].flatMap { bytes in
      bytes.count == 8 ? NetlinkReply.number(bytes, at: 0, as: UInt64.self) : nil
    }
  }
}
