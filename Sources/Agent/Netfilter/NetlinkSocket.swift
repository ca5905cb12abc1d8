internal import Core
internal import Glibc

/// A conversation with the kernel about the network namespace that the thread was in when this was made.
final class NetlinkSocket {
  static let route: Int32 = 0
  /// NETLINK_SOCK_DIAG.
  static let sockets: Int32 = 4
  static let netfilter: Int32 = 12

  let descriptor: Descriptor
  private var sequence: UInt32 = 0
  /// As large as the kernel fills them; what comes is kept in as many bytes as it has.
  private var datagram = [UInt8](repeating: 0, count: 64 << 10)

  /// - Parameter group: whose announcements are received too; 0 for none.
  init(_ protocolNumber: Int32 = NetlinkSocket.route, group: Int32 = 0) throws(SystemCallError) {
    // AF_NETLINK and SOCK_RAW (netlink(7)).
    let raw = socket(16, 3 | Int32(SOCK_CLOEXEC.rawValue), protocolNumber)
    guard raw >= 0 else { throw .last("socket", "netlink") }
    descriptor = Descriptor(takingOwnershipOf: raw)
    guard group != 0 else { return }
    // struct sockaddr_nl; the kernel gives us a port.
    var address = sockaddr()
    address.sa_family = 16
    guard bind(raw, &address, 12) == 0 else { throw .last("bind", "netlink") }
    var wanted = group
    // SOL_NETLINK and NETLINK_ADD_MEMBERSHIP.
    guard setsockopt(raw, 270, 1, &wanted, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw .last("join group \(group)", "netlink")
    }
  }

  /// Asks for a change, and returns when the kernel has made it.
  func change(_ message: NetlinkMessage, _ what: String) throws(SystemCallError) {
    _ = try ask(message, what, wanting: nil)
  }

  /// Sends a request and returns the first answer of the type wanted, or nil when an acknowledgement came instead.
  func ask(
    _ message: NetlinkMessage, _ what: String, wanting type: UInt16?
  ) throws(SystemCallError) -> NetlinkReply? {
    sequence += 1
    let bytes = message.encode(sequence: sequence)
    guard uninterrupted({ send(descriptor.raw, bytes, bytes.count, 0) }) == bytes.count else { throw .last(what, "") }
    let deadline = monotonicMilliseconds() + 5000
    while monotonicMilliseconds() < deadline {
      for reply in try receive(within: 1000, what) where reply.sequence == sequence {
        // NLMSG_ERROR, which is also how success is said.
        if reply.type == 2, let code = reply.number(at: 0, as: Int32.self) {
          guard code == 0 else { throw .of(what, "", errno: -code) }
          return nil
        }
        if reply.type == type { return reply }
      }
    }
    throw .of(what, "", errno: ETIMEDOUT)
  }

  /// Asks for many changes in one go, of which each is made or refused by itself, and returns when the kernel has tried
  /// all.
  ///
  /// - Parameter end: of all patience, by the monotonic clock.
  /// - Returns: the error number of each that was refused.
  func tryAll(_ messages: [NetlinkMessage], _ what: String, until end: Int) throws(SystemCallError) -> [Int32] {
    guard var last = messages.last else { return [] }
    // Refusals are told unasked; they come before the answer to the last one.
    last.flags |= NetlinkMessage.Flag.acknowledge
    let first = sequence + 1
    let bytes = (messages.dropLast() + [last]).flatMap { message in
      sequence += 1
      return message.encode(sequence: sequence)
    }
    guard uninterrupted({ send(descriptor.raw, bytes, bytes.count, 0) }) == bytes.count else { throw .last(what, "") }
    var refused: [Int32] = []
    while monotonicMilliseconds() < end {
      for reply in try receive(within: max(1, min(1000, end - monotonicMilliseconds())), what)
      where reply.type == 2 && (first...sequence).contains(reply.sequence) {
        let code = reply.number(at: 0, as: Int32.self) ?? 0
        if code != 0 { refused.append(-code) }
        if reply.sequence == sequence { return refused }
      }
    }
    throw .of(what, "", errno: ETIMEDOUT)
  }

  /// Sends a request with NLM_F_DUMP and hands over each answer as it comes, until `take` has enough.
  ///
  /// - Parameters:
  ///   - breaksOff: as soon as something changed. The rest of the answers is then still to come, and nothing more should
  ///     be asked here.
  ///   - end: of all patience, by the monotonic clock; it is at most 5 s from now.
  /// - Returns: false when something changed meanwhile, so that the answers may not fit together.
  func dump(
    _ message: NetlinkMessage, _ what: String, of type: UInt16, breaksOff: Bool = false, until end: Int = .max,
    take: (NetlinkReply) -> Bool
  ) throws(SystemCallError) -> Bool {
    sequence += 1
    let bytes = message.encode(sequence: sequence)
    guard uninterrupted({ send(descriptor.raw, bytes, bytes.count, 0) }) == bytes.count else { throw .last(what, "") }
    var isWhole = true
    let deadline = min(monotonicMilliseconds() + 5000, end)
    while monotonicMilliseconds() < deadline {
      for reply in try receive(within: max(1, min(1000, deadline - monotonicMilliseconds())), what)
      where reply.sequence == sequence {
        // NLM_F_DUMP_INTR
        if reply.flags & 0x10 != 0 { isWhole = false }
        if breaksOff, !isWhole { return false }
        // NLMSG_ERROR, and NLMSG_DONE, which may carry an error too.
        if reply.type == 2 || reply.type == 3 {
          let code = reply.number(at: 0, as: Int32.self) ?? 0
          guard code == 0 else { throw .of(what, "", errno: -code) }
          return isWhole
        }
        if reply.type == type, !take(reply) { return isWhole }
      }
    }
    throw .of(what, "", errno: ETIMEDOUT)
  }

  /// What came within the time; announcements that were lost because they came too fast are no error.
  func receive(within milliseconds: Int, _ what: String) throws(SystemCallError) -> [NetlinkReply] {
    var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    let ready = poll(&waiting, 1, Int32(milliseconds))
    if ready == 0 || ready < 0 && errno == EINTR { return [] }
    guard ready > 0 else { throw .last(what, "netlink") }
    let count = uninterrupted { recv(descriptor.raw, &datagram, datagram.count, Int32(MSG_DONTWAIT)) }
    guard count >= 0 else {
      if errno == EAGAIN || errno == ENOBUFS { return [] }
      throw .last(what, "netlink")
    }
    return NetlinkReply.all(in: Array(datagram.prefix(count)))
  }
}
