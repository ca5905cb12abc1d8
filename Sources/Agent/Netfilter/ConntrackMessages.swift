internal import Core
internal import Ruleset

/// Requests of nfnetlink's conntrack part, as linux/netfilter/nfnetlink_conntrack.h numbers them.
enum ConntrackMessages {
  /// IPCTNL_MSG_CT_NEW, which is also what a listed entry is called.
  static let entry: UInt16 = 0x100
  private static let list: UInt16 = 0x101
  private static let delete: UInt16 = 0x102

  /// Entries of both families.
  static let all = NetlinkMessage(
    list, flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump, fixed: header(0), attributes: [])

  /// For this very entry: with its number, so that a newer one between the same ends stays. A deletion that names no
  /// ends would empty the table; a flow has some.
  static func deletion(of flow: TrackedFlow) -> NetlinkMessage {
    var attributes = [
      NetlinkMessage.attribute(Attribute.original | 0x8000, flow.key.original),
      NetlinkMessage.attribute(Attribute.number, flow.key.number),
    ]
    if let zone = flow.key.zone { attributes.append(NetlinkMessage.attribute(Attribute.zone, zone)) }
    return NetlinkMessage(
      delete, flags: NetlinkMessage.Flag.request, fixed: header(flow.key.family), attributes: attributes)
  }

  /// struct nfgenmsg: family, version, resource.
  static func header(_ family: UInt8) -> [UInt8] { [family, 0, 0, 0] }

  enum Attribute {
    static let original: UInt16 = 1
    static let reply: UInt16 = 2
    static let number: UInt16 = 12
    static let zone: UInt16 = 18
    // Of a tuple.
    static let addresses: UInt16 = 1
    static let ports: UInt16 = 2
  }
}

/// A TCP connection as the kernel tracks it.
struct TrackedFlow {
  /// What the kernel knows it by, in its own bytes.
  struct Key {
    /// AF_INET or AF_INET6.
    let family: UInt8
    let original: [UInt8]
    let number: [UInt8]
    let zone: [UInt8]?
  }

  let key: Key
  /// As its first packet came.
  let original: FlowTuple
  /// As rules of table mangle see a packet of it: after its destination was translated, before its source is.
  let translated: FlowTuple

  /// Nil for entries of other protocols, and for what is no entry.
  init?(_ reply: NetlinkReply) {
    guard reply.type == ConntrackMessages.entry, let family: UInt8 = reply.payload.first else { return nil }
    let fields = reply.fields(after: 4)
    guard let first = fields[ConntrackMessages.Attribute.original], let original = Self.tuple(first),
      let back = fields[ConntrackMessages.Attribute.reply].flatMap(Self.tuple),
      let number = fields[ConntrackMessages.Attribute.number]
    else { return nil }
    self.original = original
    translated = FlowTuple(
      source: original.source, sourcePort: original.sourcePort, destination: back.source,
      destinationPort: back.sourcePort)
    key = Key(
      family: family, original: Array(first), number: Array(number),
      zone: fields[ConntrackMessages.Attribute.zone].map(Array.init))
  }

  private static func tuple(_ bytes: ArraySlice<UInt8>) -> FlowTuple? {
    let parts = NetlinkReply.list(bytes)
    guard let proto = parts[ConntrackMessages.Attribute.ports].map(NetlinkReply.list), proto[1]?.first == 6,
      let ends = parts[ConntrackMessages.Attribute.addresses].map(NetlinkReply.list),
      // CTA_IP_V4_SRC and DST, CTA_IP_V6_SRC and DST.
      let source = (ends[1] ?? ends[3]).flatMap({ AddressPrefix(bytes: $0) }),
      let destination = (ends[2] ?? ends[4]).flatMap({ AddressPrefix(bytes: $0) }),
      let sourcePort = port(proto[2]), let destinationPort = port(proto[3])
    else { return nil }
    return FlowTuple(
      source: source, sourcePort: sourcePort, destination: destination, destinationPort: destinationPort)
  }

  private static func port(_ bytes: ArraySlice<UInt8>?) -> UInt16? {
    guard let bytes, bytes.count == 2 else { return nil }
    return UInt16(bytes[bytes.startIndex]) << 8 | UInt16(bytes[bytes.startIndex + 1])
  }
}
