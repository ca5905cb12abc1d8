internal import Core
internal import Glibc
internal import Ruleset

/// The link by which this host answers somebody.
enum ManagementLink {
  /// Where its packets travel inside others; nil where they do not, or nobody can tell.
  static func tunnel(towards source: String) -> TunnelLink? {
    guard let address = IPPrefix(source)?.representative(notIn: []), let socket = try? NetlinkSocket(),
      // RTM_NEWROUTE
      let reply = try? socket.ask(RouteMessages.lookup(address, from: nil), "look up the route", wanting: 24)
    else { return nil }
    let route = RouteMessages.route(reply)
    guard !route.isLocal, let index = route.interface,
      // RTM_NEWLINK
      let link = try? socket.ask(RouteMessages.link(index: index), "look at a link", wanting: 16),
      let kind = RouteMessages.tunnel(link)
    else { return nil }
    var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
    guard if_indextoname(UInt32(bitPattern: index), &name) != nil else { return nil }
    return TunnelLink(
      interface: String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), kind: kind)
  }
}
