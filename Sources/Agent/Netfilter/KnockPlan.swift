internal import Apply
internal import Core
internal import Glibc

/// A knock as the scratch stack plays it: every question about the real host is answered before.
///
/// A path whose source is the host itself (a loopback address, or one of its own) is played inside the stack, over its
/// loopback, as the kernel would do it. A link-local IPv6 source names no link, so it cannot be told.
struct KnockPlan: Hashable, Sendable {
  struct Path: Hashable, Sendable {
    /// As it was asked for.
    var asked: String
    var source: IPAddress
    var destination: IPAddress
    /// Where its packets come in; nil when they come from the host itself.
    var interface: String?
    var ports: [UInt16]
  }

  var paths: [Path] = []
  /// Of each layer that is tried: strangers, who must get no answer while it is loaded.
  var outsiders: [[Path]] = []
  var addresses: [HostStack.Address] = []
  /// Why some paths cannot be played.
  var undecided: [String] = []

  /// An enrolled host has a handful.
  static let maximumPaths = 64
  static let maximumPorts = 16
  /// One of each family.
  static let maximumOutsiders = 2

  init(
    paths: [Path] = [], outsiders: [[Path]] = [], addresses: [HostStack.Address] = [], undecided: [String] = []
  ) {
    self.paths = paths
    self.outsiders = outsiders
    self.addresses = addresses
    self.undecided = undecided
  }

  /// Asks the network namespace that the thread is in how it would answer each source.
  init(_ asked: [KnockPath], outsiders: [[LayerRehearsal.Outsider]] = []) {
    do throws(SystemCallError) {
      let stack = try HostStack.read()
      addresses = stack.addresses
      let socket = try NetlinkSocket()
      for path in asked.prefix(Self.maximumPaths) {
        do throws(Undecided) {
          let played = try Self.path(path, stack, socket)
          paths.append(played)
          if let doubt = Self.tunnel(played, socket) { undecided.append("\(SafeText.escape(path.source)): \(doubt)") }
        } catch {
          undecided.append("\(SafeText.escape(path.source)): \(error.why)")
        }
      }
      if asked.count > Self.maximumPaths { undecided.append("more than \(Self.maximumPaths) sources") }
      self.outsiders = outsiders.map { $0.compactMap { stranger($0, stack) } }
    } catch {
      undecided.append(error.description)
    }
  }

  /// Who comes in where the managers of his family do, so that his part of the stage can fail where theirs does and nowhere
  /// else. Nil where none of them comes in by an interface, and where the address is somebody's after all.
  private func stranger(_ outsider: LayerRehearsal.Outsider, _ stack: HostStack) -> Path? {
    guard let source = IPAddress(outsider.source), !stack.own.contains(source),
      !paths.contains(where: { $0.source == source }),
      let manager = paths.first(where: { $0.source.family == source.family && $0.interface != nil })
    else { return nil }
    return Path(
      asked: outsider.source, source: source, destination: manager.destination, interface: manager.interface,
      ports: outsider.ports)
  }

  /// All whose packets come over the stage.
  var everybody: [Path] { paths + outsiders.flatMap(\.self) }

  private struct Undecided: Error {
    var why: String
  }

  private static func path(
    _ path: KnockPath, _ stack: HostStack, _ socket: NetlinkSocket
  ) throws(Undecided) -> Path {
    let own = stack.own
    guard !path.ports.isEmpty, !path.ports.contains(0) else { throw Undecided(why: "no port to knock at") }
    guard let prefix = IPPrefix(path.source) else { throw Undecided(why: "not a numeric address or prefix") }
    guard let source = prefix.representative(notIn: own), source.isUsableSource else {
      throw Undecided(why: "no address of it can be a sender")
    }
    if source.family == .ipv6, source.isLinkLocal { throw Undecided(why: "a link-local source names no link") }
    var destination: IPAddress?
    if let given = path.destination {
      guard let address = IPAddress(given), address.family == source.family else {
        throw Undecided(why: "\(SafeText.escape(given)) is not an address of its family")
      }
      guard own.contains(address) || address.isLoopback else {
        throw Undecided(why: "the host does not have the address \(address)")
      }
      destination = address
    }
    let route = try route(to: source, from: destination, socket)
    var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
    let isOwn = route.isLocal || own.contains(source) || source.isLoopback
    if !isOwn {
      guard let interface = route.interface, if_indextoname(UInt32(interface), &name) != nil else {
        throw Undecided(why: "the host's route to it leads to no interface")
      }
    }
    guard let answer = destination ?? route.source ?? (isOwn ? source : nil) else {
      throw Undecided(why: "the host has no \(source.family) address to be reached at")
    }
    let interface = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Path(
      asked: path.source, source: source, destination: answer,
      interface: isOwn || interface == "lo" ? nil : interface, ports: Array(path.ports.prefix(maximumPorts)))
  }

  /// The rules are asked about what comes out of a tunnel. Whether they let the tunnel's own packets in is not asked, and
  /// the flow that carries them now goes on after rules that let no new one in.
  private static func tunnel(_ path: Path, _ socket: NetlinkSocket) -> String? {
    guard let interface = path.interface else { return nil }
    let index = Int32(bitPattern: if_nametoindex(interface))
    // RTM_NEWLINK
    guard let link = try? socket.ask(RouteMessages.link(index: index), "look at \(interface)", wanting: 16) else {
      return nil
    }
    return RouteMessages.tunnel(link).map {
      "it comes through \(SafeText.escape(interface)) (\($0)), whose own packets the rules may shut out"
    }
  }

  private static func route(
    to source: IPAddress, from destination: IPAddress?, _ socket: NetlinkSocket
  ) throws(Undecided) -> RouteMessages.Route {
    do throws(SystemCallError) {
      // RTM_NEWROUTE
      let reply = try socket.ask(RouteMessages.lookup(source, from: destination), "look up the route", wanting: 24)
      guard let reply else { throw .of("look up the route", "", errno: ENETUNREACH) }
      return RouteMessages.route(reply)
    } catch {
      throw Undecided(why: "the host has no route to it (\(error))")
    }
  }
}
