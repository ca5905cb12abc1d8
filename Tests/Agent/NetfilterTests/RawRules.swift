import Core
import Glibc

@testable import Netfilter

/// Rules that nft(8) refuses to write, and the kernel takes.
enum RawRules {
  /// NF_DROP and NF_ACCEPT.
  static let drop: UInt32 = 0
  static let accept: UInt32 = 1

  /// Puts a rule before all others of a chain in `ip filter`: a counter, and one verdict after the other.
  static func insert(verdicts: [UInt32], into chain: String) throws {
    let expressions = [expression("counter", [])] + verdicts.map(immediate)
    let rule = NetlinkMessage(
      NftablesMessages.subsystem | 6,
      flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.create | NetlinkMessage.Flag.acknowledge,
      fixed: [2, 0, 0, 0],
      attributes: [
        NetlinkMessage.attribute(1, text: "filter"), NetlinkMessage.attribute(2, text: chain),
        NetlinkMessage.nested(4, expressions.flatMap { $0 }),
      ])
    let socket = try NetlinkSocket(NetlinkSocket.netfilter)
    // NFNL_MSG_BATCH_BEGIN 16 and END 17, for NFNL_SUBSYS_NFTABLES 10, big-endian.
    let ends = [16, 17].map { (type: UInt16) in
      NetlinkMessage(type, flags: NetlinkMessage.Flag.request, fixed: [0, 0, 0, 10], attributes: [])
    }
    let batch = ends[0].encode(sequence: 1) + rule.encode(sequence: 2) + ends[1].encode(sequence: 3)
    guard send(socket.descriptor.raw, batch, batch.count, 0) == batch.count else {
      throw SystemCallError.last("send a batch", "netlink")
    }
    for _ in 0..<5 {
      for reply in try socket.receive(within: 1000, "insert a rule") where reply.sequence == 2 {
        guard let code = reply.number(at: 0, as: Int32.self), code == 0 else {
          throw SystemCallError.of("insert a rule", chain, errno: -(reply.number(at: 0, as: Int32.self) ?? 0))
        }
        return
      }
    }
    throw Reason("the kernel said nothing")
  }

  private static func immediate(_ code: UInt32) -> [UInt8] {
    expression(
      "immediate",
      NetlinkMessage.attribute(1, bytes(0))
        + NetlinkMessage.nested(2, NetlinkMessage.nested(2, NetlinkMessage.attribute(1, bytes(code)))))
  }

  private static func expression(_ name: String, _ data: [UInt8]) -> [UInt8] {
    NetlinkMessage.nested(1, NetlinkMessage.attribute(1, text: name) + NetlinkMessage.nested(2, data))
  }

  private static func bytes(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}
