internal import CLinux
internal import Core
internal import Glibc

/// Two network namespaces: the caller's, dressed like the host, and one outside, from which its managers knock. For
/// each interface that a path comes in by there is a veth pair whose inner end has the interface's name and addresses.
/// All other addresses are on the loopback: they are the host's own there too, and rules know interfaces by name only.
///
/// The thread must have a namespace to itself; it is put back there after each visit outside.
final class KnockStage {
  private let inside: Descriptor
  private let outside: Descriptor
  private let plan: KnockPlan
  private let interfaces: [String]

  /// CLONE_NEWNET (clone(2)).
  private static let network: Int32 = 0x4000_0000
  private static let loopback: Int32 = 1

  init(_ plan: KnockPlan) throws(SystemCallError) {
    self.plan = plan
    var names: [String] = []
    for name in plan.everybody.compactMap(\.interface) where !names.contains(name) { names.append(name) }
    interfaces = names
    inside = try Self.namespace()
    let insideLinks = try NetlinkSocket()
    Self.settle()
    guard clinux_unshare(Self.network) == 0 else { throw .last("unshare", "a second network namespace") }
    outside = try Self.namespace()
    let outsideLinks = try NetlinkSocket()
    Self.settle()
    try Self.enter(inside)
    try dress(insideLinks, outsideLinks)
  }

  /// Where no rules are. What the thread stood in before is gone for it.
  static func leaveForEmptyNamespace() throws(SystemCallError) {
    guard clinux_unshare(network) == 0 else { throw .last("unshare", "an empty network namespace") }
  }

  /// Runs the body outside. It must not throw or wait: the thread has to come back.
  func visit<Result>(_ body: () -> Result) throws(SystemCallError) -> Result {
    try Self.enter(outside)
    let result = body()
    try Self.enter(inside)
    return result
  }

  /// The outer end of the pair that leads to this interface.
  func outerName(of interface: String) -> String? {
    interfaces.firstIndex(of: interface).map { "out\($0)" }
  }

  // MARK: - Parts

  private func dress(_ inner: NetlinkSocket, _ outer: NetlinkSocket) throws(SystemCallError) {
    try inner.change(RouteMessages.up(index: Self.loopback), "set lo up")
    for (number, name) in interfaces.enumerated() {
      let peer = RouteMessages.Peer(
        name: "out\(number)", index: Self.outer(number), address: Self.hardware(number, 2), namespace: outside.raw)
      try inner.change(
        RouteMessages.pair(name: name, index: Self.inner(number), address: Self.hardware(number, 1), peer: peer),
        "make a veth pair for \(name)")
      for (socket, index, name) in [(outer, Self.outer(number), peer.name), (inner, Self.inner(number), name)] {
        try socket.change(RouteMessages.acceptAnyPath(index: index), "accept any path at \(name)")
        // A kernel without IPv6 makes no noise either.
        try? socket.change(RouteMessages.silence(index: index), "silence \(name)")
        try socket.change(RouteMessages.up(index: index), "set \(name) up")
      }
    }
    for entry in plan.addresses where !entry.address.isLoopback {
      let number = interfaces.firstIndex(of: entry.interface)
      // A link-local address means nothing on the loopback.
      if number == nil, entry.address.isLinkLocal { continue }
      let length = number == nil ? entry.address.bits : entry.length
      try Self.ensure(
        inner,
        RouteMessages.address(
          entry.address, length: length, index: number.map(Self.inner) ?? Self.loopback),
        "set address \(entry.address)")
    }
    if interfaces.count > 1 {
      // Matters only where the namespace checks reverse paths strictly, and not every kernel has such routes.
      try? outer.change(RouteMessages.routeByAll(interfaces.indices.map(Self.outer), metric: 1), "route to the host")
    }
    for number in interfaces.indices {
      for family in Set(plan.everybody.map(\.source.family)) {
        guard let everywhere = IPAddress(family == .ipv4 ? "0.0.0.0" : "::") else { continue }
        try outer.change(
          RouteMessages.route(to: everywhere, length: 0, index: Self.outer(number), metric: UInt32(number + 2)),
          "route to the host")
      }
    }
    for path in plan.everybody {
      guard let interface = path.interface, let number = interfaces.firstIndex(of: interface) else { continue }
      let (source, bits) = (path.source, path.source.bits)
      try Self.ensure(
        outer, RouteMessages.address(source, length: bits, index: Self.outer(number)), "set source \(source)")
      try Self.ensure(
        inner,
        RouteMessages.route(to: source, length: bits, index: Self.inner(number), metric: UInt32(number + 1)),
        "route to \(source)")
      try Self.ensure(
        inner,
        RouteMessages.neighbour(source, at: Self.hardware(number, 2), index: Self.inner(number)), "know \(source)")
      try Self.ensure(
        outer,
        RouteMessages.neighbour(path.destination, at: Self.hardware(number, 1), index: Self.outer(number)),
        "know \(path.destination)")
    }
    try awaitLinks(inner, outer)
  }

  /// The kernel announces a link as up in its own time, and drops packets until then.
  private func awaitLinks(_ inner: NetlinkSocket, _ outer: NetlinkSocket) throws(SystemCallError) {
    let deadline = monotonicMilliseconds() + 500
    for number in interfaces.indices {
      for (socket, index) in [(inner, Self.inner(number)), (outer, Self.outer(number))] {
        while true {
          // RTM_NEWLINK
          let link = try socket.ask(RouteMessages.link(index: index), "look at a link", wanting: 16)
          if let link, RouteMessages.isRunning(link) { break }
          guard monotonicMilliseconds() < deadline else { throw .of("wait for a link", "", errno: ETIMEDOUT) }
          usleep(500)
        }
      }
    }
  }

  /// Two paths may share an address; the second finds it there.
  private static func ensure(
    _ socket: NetlinkSocket, _ message: NetlinkMessage, _ what: String
  ) throws(SystemCallError) {
    do { try socket.change(message, what) } catch  where error.errno == EEXIST { return }
  }

  private static func inner(_ number: Int) -> Int32 { 1001 + Int32(number) }
  private static func outer(_ number: Int) -> Int32 { 2001 + Int32(number) }

  /// Locally administered.
  private static func hardware(_ number: Int, _ end: UInt8) -> [UInt8] {
    [0x02, 0x50, 0x43, 0, UInt8(truncatingIfNeeded: number), end]
  }

  private static func namespace() throws(SystemCallError) -> Descriptor {
    let path = "/proc/thread-self/ns/net"
    let raw = open(path, O_RDONLY | O_CLOEXEC)
    guard raw >= 0 else { throw .last("open", path) }
    return Descriptor(takingOwnershipOf: raw)
  }

  private static func enter(_ namespace: Descriptor) throws(SystemCallError) {
    guard clinux_setns(namespace.raw, network) == 0 else { throw .last("setns", "") }
  }

  /// Settings of the namespace that the thread is in, and of no other, which only /proc/sys has. Where it is read-only, as
  /// in the sandbox of our unit, they stay as the kernel makes them, and the stage bears that: the routes pass a strict
  /// check of reverse paths, the unit grants sshd's port, and without IPv6 the knock is left undecided.
  private static func settle() {
    for (name, value) in [
      ("ipv4/conf/all/rp_filter", "0"), ("ipv6/conf/all/disable_ipv6", "0"), ("ipv6/conf/default/disable_ipv6", "0"),
      // sshd's port is ours to take here.
      ("ipv4/ip_unprivileged_port_start", "0"),
    ] {
      let raw = open("/proc/sys/net/\(name)", O_WRONLY | O_CLOEXEC)
      guard raw >= 0 else { continue }
      _ = write(raw, value, value.utf8.count)
      close(raw)
    }
  }
}
