package import Apply
internal import Core
internal import Glibc
package import Ruleset

/// Ends old TCP connections that a lockdown does not keep, by deleting what the kernel remembers of them. Their next
/// packets have no SYN, and are dropped by the lockdown's rules, which must be loaded before.
///
/// One by one, not all at once: a kernel told not to pick up connections midway (`nf_conntrack_tcp_loose`) would cut
/// management too. And never UDP or ICMP: their entry is the only record of who began, without which the host's next
/// packet passes for a new flow of its own.
package struct FlowCutter {
  /// Asked for in one go. Were all of them refused, the answers would still fit the socket's buffer.
  private static let batchSize = 100

  private let kept: KeptFlows
  private let end: Int
  /// Its own, as the listing goes on meanwhile: of a long table only one batch is ever held.
  private let deletions: NetlinkSocket
  var batch: [NetlinkMessage] = []
  private(set) var cut = 0
  private var refused: (count: Int, errno: Int32) = (0, 0)

  /// - Parameters:
  ///   - patterns: of both families; flows of a family that has none are all cut.
  ///   - own: the host's addresses, when they are not to be looked up.
  ///   - limit: for everything; what was cut until then stays so.
  /// - Returns: how many were cut. Connections that ended by themselves meanwhile do not count, and are no error.
  package static func cut(
    sparing patterns: [FlowPattern], on own: Set<AddressPrefix>? = nil, within limit: Duration
  ) throws(FirewallProblem) -> Int {
    var cutter: FlowCutter
    do throws(SystemCallError) {
      let own = if let own { own } else { try HostStack.ownPrefixes() }
      cutter = try FlowCutter(sparing: KeptFlows(patterns, on: own), within: limit)
    } catch {
      throw problem(kind(error.errno), error.description)
    }
    do throws(SystemCallError) { try cutter.run() } catch {
      throw problem(kind(error.errno), "\(error), after \(cutter.cut) were cut")
    }
    if let failure = cutter.failure { throw failure }
    return cutter.cut
  }

  /// Cuts nothing.
  package static func list(within limit: Duration) throws(FirewallProblem) {
    do throws(SystemCallError) {
      try list(until: monotonicMilliseconds() + Int(limit / .milliseconds(1))) { _ in true }
    } catch {
      throw problem(kind(error.errno), error.description)
    }
  }

  private static func list(until end: Int, take: (NetlinkReply) -> Bool) throws(SystemCallError) {
    let listing = try NetlinkSocket(NetlinkSocket.netfilter)
    _ = try listing.dump(
      ConntrackMessages.all, "list tracked connections", of: ConntrackMessages.entry, until: end, take: take)
  }

  /// What the kernel did not give up, though everything else was cut.
  var failure: FirewallProblem? {
    guard refused.count > 0 else { return nil }
    let what = "delete \(refused.count) of \(refused.count + cut) tracked connections"
    return Self.problem(.refused, SystemCallError.of(what, "", errno: refused.errno).description)
  }

  private static func problem(_ kind: FirewallProblem.Kind, _ words: String) -> FirewallProblem {
    FirewallProblem(kind, program: "ctnetlink", family: nil, words: words)
  }

  init(sparing kept: KeptFlows, within limit: Duration) throws(SystemCallError) {
    self.kept = kept
    end = monotonicMilliseconds() + Int(limit / .milliseconds(1))
    deletions = try NetlinkSocket(NetlinkSocket.netfilter)
  }

  mutating func run() throws(SystemCallError) {
    var problem: SystemCallError?
    try Self.list(until: end) { reply in
      guard let flow = TrackedFlow(reply), !isKept(flow) else { return true }
      batch.append(ConntrackMessages.deletion(of: flow))
      guard batch.count == Self.batchSize else { return true }
      do throws(SystemCallError) { try delete() } catch { problem = error }
      return problem == nil
    }
    if let problem { throw problem }
    if !batch.isEmpty { try delete() }
  }

  private func isKept(_ flow: TrackedFlow) -> Bool {
    kept.spare(flow.original) || flow.translated != flow.original && kept.spare(flow.translated)
  }

  private mutating func delete() throws(SystemCallError) {
    let problems = try deletions.tryAll(batch, "delete tracked connections", until: end)
    cut += batch.count - problems.count
    let serious = problems.filter { $0 != ENOENT }
    if let errno = serious.first { refused = (refused.count + serious.count, errno) }
    batch.removeAll(keepingCapacity: true)
  }

  /// A kernel without conntrack's netlink says EINVAL for a part it does not know.
  static func kind(_ errno: Int32) -> FirewallProblem.Kind {
    switch errno {
    case EPROTONOSUPPORT, EAFNOSUPPORT, EINVAL, EPERM: .unavailable
    case ETIMEDOUT: .timedOut
    default: .refused
    }
  }
}
