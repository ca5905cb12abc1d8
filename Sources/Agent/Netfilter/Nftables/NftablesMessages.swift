/// The questions of nf_tables' netlink interface, by the numbers of linux/netfilter/nf_tables.h.
enum NftablesMessages {
  /// NFNL_SUBSYS_NFTABLES in the high byte of a message's type.
  static let subsystem: UInt16 = 10 << 8
  /// NFNLGRP_NFTABLES: announcements of changes.
  static let changes: Int32 = 7

  /// NFT_MSG_…: what asks, and what then comes.
  enum Kind: UInt16, CaseIterable {
    case table = 0
    case chain = 3
    case rule = 6
    case set = 9
    case element = 12
    case object = 18
    case flowTable = 22

    var answer: UInt16 { NftablesMessages.subsystem | rawValue }
    var question: UInt16 { NftablesMessages.subsystem | (rawValue + 1) }
  }

  /// NFT_MSG_NEWGEN, which answers NFT_MSG_GETGEN and ends each batch of announcements.
  static let generation = subsystem | 15
  private static let getGeneration = subsystem | 16

  /// struct nfgenmsg: family, version 0, resource 0.
  static let fixedSize = 4
  private static func fixed(_ family: UInt8) -> [UInt8] { [family, 0, 0, 0] }

  static func dump(_ kind: Kind) -> NetlinkMessage {
    NetlinkMessage(
      kind.question, flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump, fixed: fixed(0), attributes: [])
  }

  /// NFTA_SET_ELEM_LIST_TABLE 1, NFTA_SET_ELEM_LIST_SET 2.
  static func elements(family: UInt8, table: ArraySlice<UInt8>, set: ArraySlice<UInt8>) -> NetlinkMessage {
    NetlinkMessage(
      Kind.element.question, flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump, fixed: fixed(family),
      attributes: [NetlinkMessage.attribute(1, Array(table) + [0]), NetlinkMessage.attribute(2, Array(set) + [0])])
  }

  static var askGeneration: NetlinkMessage {
    NetlinkMessage(getGeneration, flags: NetlinkMessage.Flag.request, fixed: fixed(0), attributes: [])
  }

  /// NFTA_GEN_ID 1, NFTA_GEN_PROC_PID 2, NFTA_GEN_PROC_NAME 3.
  static func change(_ reply: NetlinkReply) -> NftablesChange? {
    guard reply.type == generation else { return nil }
    let fields = reply.attributes(after: fixedSize)
    guard let number = fields[1].flatMap(bigEndian) else { return nil }
    return NftablesChange(
      generation: number, process: fields[2].flatMap(bigEndian), name: fields[3].map(text) ?? "")
  }

  static func bigEndian(_ bytes: ArraySlice<UInt8>) -> UInt32? {
    bytes.count == 4 ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : nil
  }

  /// Without the zero byte at its end.
  static func text(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// One batch of changes, as the kernel announces it when it is in force.
package struct NftablesChange: Hashable, Sendable {
  package var generation: UInt32
  /// Who asked for it, if the kernel says so; the process may be gone by now, and another have its number.
  package var process: UInt32?
  /// As the process calls itself: not safe to print, and not to be believed.
  package var name: String
}
