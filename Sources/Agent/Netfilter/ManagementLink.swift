internal import Core
internal import Glibc
internal import Ruleset

/// The link by which this host answers somebody.
enum ManagementLink {
  /// So many addresses of a network may be this host's own before somebody else's is found.
  private static let tries = 16

  /// Where its packets travel inside others; nil where they do not, or nobody can tell.
  static func tunnel(towards source: String) -> TunnelLink? {
    guard let prefix = IPPrefix(source), let socket = try? NetlinkSocket(), let index = interface(to: prefix, socket),
      // RTM_NEWLINK
      let link = try? socket.ask(RouteMessages.link(index: index), "look at a link", wanting: 16),
      let kind = RouteMessages.tunnel(link)
    else { return nil }
    var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
    guard if_indextoname(UInt32(bitPattern: index), &name) != nil else { return nil }
    return TunnelLink(
      interface: String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), kind: kind)
  }

  /// Of a network that the host is in itself, the first address is often its own.
  private static func interface(to prefix: IPPrefix, _ socket: NetlinkSocket) -> Int32? {
    var own: Set<IPAddress> = []
    while own.count < tries, let address = prefix.representative(notIn: own) {
      // RTM_NEWROUTE
      guard let reply = try? socket.ask(RouteMessages.lookup(address, from: nil), "look up the route", wanting: 24)
      else { return nil }
      let route = RouteMessages.route(reply)
      guard route.isLocal else { return route.interface }
      own.insert(address)
      guard prefix.length < address.bits else { return nil }
    }
    return nil
  }
}
