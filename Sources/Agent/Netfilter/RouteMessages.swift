internal import Core

/// The messages of rtnetlink(7) that the scratch stack is dressed with, and the one question asked of the real one.
enum RouteMessages {
  /// The pair's other end, in another namespace.
  struct Peer {
    var name: String
    var index: Int32
    var address: [UInt8]
    /// A descriptor of its namespace.
    var namespace: Int32
  }

  private static let change = NetlinkMessage.Flag.request | NetlinkMessage.Flag.acknowledge
  private static let make = change | NetlinkMessage.Flag.create | NetlinkMessage.Flag.exclusive
  /// IFF_UP, and IFF_RUNNING: packets pass.
  private static let up: UInt32 = 0x1
  private static let running: UInt32 = 0x40

  private static func number(_ family: Int32) -> UInt8 { UInt8(truncatingIfNeeded: family) }

  /// struct ifinfomsg
  private static func link(index: Int32, flags: UInt32 = 0, changed: UInt32 = 0) -> [UInt8] {
    [0, 0, 0, 0] + NetlinkMessage.native(index) + NetlinkMessage.native(flags) + NetlinkMessage.native(changed)
  }

  /// RTM_NEWLINK of a veth pair (veth(4)); both ends get numbers and hardware addresses of our choice, so that nothing
  /// need be asked back.
  static func pair(name: String, index: Int32, address: [UInt8], peer: Peer) -> NetlinkMessage {
    // IFLA_ADDRESS 1, IFLA_IFNAME 3, IFLA_LINKINFO 18, IFLA_NET_NS_FD 28; IFLA_INFO_KIND 1, IFLA_INFO_DATA 2;
    // VETH_INFO_PEER 1.
    let other =
      link(index: peer.index) + NetlinkMessage.attribute(3, text: peer.name)
      + NetlinkMessage.attribute(1, peer.address)
      + NetlinkMessage.attribute(28, number: UInt32(bitPattern: peer.namespace))
    return NetlinkMessage(
      16, flags: make, fixed: link(index: index),
      attributes: [
        NetlinkMessage.attribute(3, text: name), NetlinkMessage.attribute(1, address),
        NetlinkMessage.nested(
          18, NetlinkMessage.attribute(1, text: "veth"),
          NetlinkMessage.nested(2, NetlinkMessage.attribute(1, other))),
      ])
  }

  /// RTM_SETLINK
  static func up(index: Int32) -> NetlinkMessage {
    NetlinkMessage(19, flags: change, fixed: link(index: index, flags: up, changed: up), attributes: [])
  }

  /// RTM_SETLINK: no check of the reverse path on this interface, which /proc/sys cannot be asked for where it is
  /// read-only. That of the whole namespace stays as it is.
  static func acceptAnyPath(index: Int32) -> NetlinkMessage {
    // IFLA_AF_SPEC 26; AF_INET; IFLA_INET_CONF 1; IPV4_DEVCONF_RP_FILTER 8.
    let settings = NetlinkMessage.nested(1, NetlinkMessage.attribute(8, number: 0))
    return NetlinkMessage(
      19, flags: change, fixed: link(index: index),
      attributes: [NetlinkMessage.nested(26, NetlinkMessage.nested(2, settings))])
  }

  /// RTM_SETLINK: no IPv6 address of the kernel's own making, so no router solicitations and no reports of multicast
  /// groups. Before the link is up.
  static func silence(index: Int32) -> NetlinkMessage {
    // IFLA_AF_SPEC 26; AF_INET6; IFLA_INET6_ADDR_GEN_MODE 8; IN6_ADDR_GEN_MODE_NONE.
    NetlinkMessage(
      19, flags: change, fixed: link(index: index),
      attributes: [NetlinkMessage.nested(26, NetlinkMessage.nested(10, NetlinkMessage.attribute(8, [1])))])
  }

  /// RTM_GETLINK; the answer is an RTM_NEWLINK.
  static func link(index: Int32) -> NetlinkMessage {
    NetlinkMessage(18, flags: NetlinkMessage.Flag.request, fixed: link(index: index), attributes: [])
  }

  static func isRunning(_ link: NetlinkReply) -> Bool {
    (link.number(at: 8, as: UInt32.self) ?? 0) & running != 0
  }

  /// The kind of a link whose packets travel inside others, `wireguard` say; nil for any other link.
  static func tunnel(_ link: NetlinkReply) -> String? {
    // IFLA_LINKINFO 18, IFLA_INFO_KIND 1.
    let kind = link.attributes(after: 16)[18]
      .flatMap { NetlinkReply.list($0).first { $0.type == 1 }?.content }
      .map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if let kind, tunnelKinds.contains(kind) { return kind }
    guard let hardware = link.number(at: 2, as: UInt16.self), tunnelHardware.contains(hardware) else { return nil }
    return kind ?? "tunnel"
  }

  private static let tunnelKinds: Set<String> = [
    "bareudp", "erspan", "geneve", "gre", "gretap", "ip6erspan", "ip6gre", "ip6gretap", "ip6tnl", "ipip", "ppp", "sit",
    "tun", "vti", "vti6", "vxlan", "wireguard", "xfrm",
  ]
  /// ARPHRD_PPP, _TUNNEL, _TUNNEL6, _SIT, _IPGRE, _IP6GRE, _NONE: of linux/if_arp.h.
  private static let tunnelHardware: Set<UInt16> = [512, 768, 769, 776, 778, 823, 0xfffe]

  /// RTM_NEWADDR. IFA_F_NODAD: usable at once, without asking for a second whether another has it.
  static func address(_ address: IPAddress, length: Int, index: Int32) -> NetlinkMessage {
    let nodad: UInt8 = 0x02
    // struct ifaddrmsg; IFA_ADDRESS 1, IFA_LOCAL 2.
    return NetlinkMessage(
      20, flags: make,
      fixed: [number(address.number), UInt8(length), nodad, 0] + NetlinkMessage.native(index),
      attributes: [NetlinkMessage.attribute(2, address.bytes), NetlinkMessage.attribute(1, address.bytes)])
  }

  /// RTM_NEWROUTE to what is on the link. Of two routes to the same place the lower metric is used, unless the
  /// socket is bound to an interface.
  static func route(to destination: IPAddress, length: Int, index: Int32, metric: UInt32) -> NetlinkMessage {
    let (main, fixed, unicast): (UInt8, UInt8, UInt8) = (254, 4, 1)
    // RT_SCOPE_LINK; there are no scopes in IPv6.
    let scope: UInt8 = destination.family == .ipv4 ? 253 : 0
    // struct rtmsg; RTA_DST 1, RTA_OIF 4, RTA_PRIORITY 6.
    var attributes = [
      NetlinkMessage.attribute(4, number: UInt32(bitPattern: index)), NetlinkMessage.attribute(6, number: metric),
    ]
    if length > 0 { attributes.insert(NetlinkMessage.attribute(1, destination.bytes), at: 0) }
    return NetlinkMessage(
      24, flags: make,
      fixed: [number(destination.number), UInt8(length), 0, 0, main, fixed, scope, unicast, 0, 0, 0, 0],
      attributes: attributes)
  }

  /// RTM_NEWROUTE of IPv4 to everywhere by all these links at once: a packet that comes in by any of them has come the
  /// way its answer would go, however strictly that is checked. A socket that is bound to one sends by that one.
  static func routeByAll(_ indices: [Int32], metric: UInt32) -> NetlinkMessage {
    let (inet, main, fixed, link, unicast): (UInt8, UInt8, UInt8, UInt8, UInt8) = (2, 254, 4, 253, 1)
    // struct rtmsg; RTA_PRIORITY 6, RTA_MULTIPATH 9; struct rtnexthop.
    var hops: [UInt8] = []
    for index in indices { hops += NetlinkMessage.native(UInt16(8)) + [0, 0] + NetlinkMessage.native(index) }
    return NetlinkMessage(
      24, flags: make, fixed: [inet, 0, 0, 0, main, fixed, link, unicast, 0, 0, 0, 0],
      attributes: [NetlinkMessage.attribute(6, number: metric), NetlinkMessage.attribute(9, hops)])
  }

  /// RTM_NEWNEIGH, permanent: whether ARP and neighbour discovery get through is not what is asked here.
  static func neighbour(_ address: IPAddress, at hardware: [UInt8], index: Int32) -> NetlinkMessage {
    let permanent: UInt16 = 0x80
    // struct ndmsg; NDA_DST 1, NDA_LLADDR 2.
    return NetlinkMessage(
      28, flags: make,
      fixed: [number(address.number), 0, 0, 0] + NetlinkMessage.native(index) + NetlinkMessage.native(permanent)
        + [0, 0],
      attributes: [NetlinkMessage.attribute(1, address.bytes), NetlinkMessage.attribute(2, hardware)])
  }

  /// RTM_GETROUTE: how this host would answer.
  static func lookup(_ destination: IPAddress, from source: IPAddress?) -> NetlinkMessage {
    var attributes = [NetlinkMessage.attribute(1, destination.bytes)]
    if let source { attributes.append(NetlinkMessage.attribute(2, source.bytes)) }
    return NetlinkMessage(
      26, flags: NetlinkMessage.Flag.request,
      fixed: [
        number(destination.number), UInt8(destination.bits), UInt8(source?.bits ?? 0), 0, 0, 0, 0, 0, 0, 0, 0, 0,
      ], attributes: attributes)
  }

  struct Route: Hashable {
    /// The destination is this host itself.
    var isLocal: Bool
    var interface: Int32?
    var source: IPAddress?
  }

  static func route(_ reply: NetlinkReply) -> Route {
    let attributes = reply.attributes(after: 12)
    let interface = attributes[4].flatMap { bytes in
      bytes.count == 4 ? NetlinkReply.number(bytes, at: 0, as: Int32.self) : nil
    }
    // RTA_PREFSRC 7; RTN_LOCAL 2.
    return Route(
      isLocal: reply.number(at: 7, as: UInt8.self) == 2, interface: interface,
      source: attributes[7].flatMap { IPAddress(bytes: Array($0)) })
  }
}
