import Core
import Ruleset
import Testing

@testable import Netfilter

/// The entries of the namespace that the test runs in, and new ones as if connections had been there.
struct ConntrackTable {
  let socket: NetlinkSocket

  init() throws {
    socket = try NetlinkSocket(NetlinkSocket.netfilter)
  }

  /// - Parameters:
  ///   - server: who answers, where the destination was translated.
  ///   - zone: of both directions; `zoneOfOriginal` of one.
  static func entry(
    _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16,
    from server: (address: String, port: UInt16)? = nil, protocolNumber: UInt8 = 6, zone: UInt8? = nil,
    zoneOfOriginal: UInt8? = nil
  ) throws -> NetlinkMessage {
    let server = server ?? (destination, destinationPort)
    let family: UInt8 = source.contains(":") ? 10 : 2
    let tcp = NetlinkMessage.nested(4, NetlinkMessage.nested(1, NetlinkMessage.attribute(1, [3])))
    return NetlinkMessage(
      ConntrackMessages.entry,
      flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.create | NetlinkMessage.Flag.exclusive,
      fixed: ConntrackMessages.header(family),
      attributes: [
        try tuple(1, source, sourcePort, destination, destinationPort, protocolNumber, zone: zoneOfOriginal),
        try tuple(2, server.address, server.port, source, sourcePort, protocolNumber),
        NetlinkMessage.attribute(7, [0, 0, 2, 88]), NetlinkMessage.attribute(3, [0, 0, 0, 0xe]),
      ] + (protocolNumber == 6 ? [tcp] : []) + (zone.map { [NetlinkMessage.attribute(18, [0, $0])] } ?? []))
  }

  private static func tuple(
    _ type: UInt16, _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16,
    _ protocolNumber: UInt8, zone: UInt8? = nil
  ) throws -> [UInt8] {
    let ends = [try #require(IPAddress(source)), try #require(IPAddress(destination))]
    let first: UInt16 = ends[0].bytes.count == 4 ? 1 : 3
    func port(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
    return NetlinkMessage.nested(
      type,
      NetlinkMessage.nested(
        1, NetlinkMessage.attribute(first, ends[0].bytes), NetlinkMessage.attribute(first + 1, ends[1].bytes)),
      NetlinkMessage.nested(
        2, NetlinkMessage.attribute(1, [protocolNumber]), NetlinkMessage.attribute(2, port(sourcePort)),
        NetlinkMessage.attribute(3, port(destinationPort))),
      zone.map { NetlinkMessage.attribute(3, [0, $0]) } ?? [])
  }

  func fill(_ entries: [NetlinkMessage]) throws {
    for start in stride(from: 0, to: entries.count, by: 100) {
      let part = Array(entries[start..<min(start + 100, entries.count)])
      let refused = try socket.tryAll(part, "create", until: monotonicMilliseconds() + 5000)
      try #require(refused.isEmpty, "\(refused)")
    }
  }

  func flows() throws -> [TrackedFlow] {
    var flows: [TrackedFlow] = []
    _ = try socket.dump(ConntrackMessages.all, "list", of: ConntrackMessages.entry) { reply in
      if let flow = TrackedFlow(reply) { flows.append(flow) }
      return true
    }
    return flows
  }

  /// Who began each, sorted.
  func left() throws -> [String] {
    try flows().map { "\($0.original.source) \($0.original.sourcePort)" }.sorted()
  }

  /// Of every protocol.
  static func count() -> String? { SmallFile.line("/proc/sys/net/netfilter/nf_conntrack_count") }
}
