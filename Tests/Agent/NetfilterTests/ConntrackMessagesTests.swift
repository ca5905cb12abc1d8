import Apply
import Core
import Glibc
import Ruleset
import Testing

@testable import Netfilter

/// Bytes as nfnetlink_conntrack.h defines them, on a little-endian machine.
@Suite struct ConntrackMessagesTests {
  private static let original: [UInt8] = [
    20, 0, 1, 0x80, 8, 0, 1, 0, 192, 0, 2, 7, 8, 0, 2, 0, 192, 0, 2, 1,  // addresses
    28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0,  // TCP
    6, 0, 2, 0, 0x9c, 0x40, 0, 0, 6, 0, 3, 0, 0, 22, 0, 0,  // 40000, 22
  ]
  private static let reply: [UInt8] = [
    20, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 5, 8, 0, 2, 0, 192, 0, 2, 7,
    28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 0x08, 0xae, 0, 0, 6, 0, 3, 0, 0x9c, 0x40, 0, 0,
  ]

  private static func entry(_ original: [UInt8] = original, zone: [UInt8] = []) -> [UInt8] {
    let content =
      [2, 0, 0, 0] + NetlinkMessage.attribute(0x8001, original) + NetlinkMessage.attribute(0x8002, reply)
      + NetlinkMessage.attribute(12, [1, 2, 3, 4]) + zone
    return NetlinkMessage(0x100, flags: 2, fixed: content, attributes: []).encode(sequence: 1)
  }

  private func read(_ bytes: [UInt8]) -> TrackedFlow? { NetlinkReply.all(in: bytes).first.flatMap(TrackedFlow.init) }

  @Test func `an entry is read with its ends, as they came and as rules see them`() throws {
    let flow = try #require(read(Self.entry()))
    let outside = try #require(AddressPrefix("192.0.2.7"))
    #expect(
      flow.original
        == FlowTuple(
          source: outside, sourcePort: 40000, destination: AddressPrefix("192.0.2.1")!, destinationPort: 22))
    #expect(
      flow.translated
        == FlowTuple(
          source: outside, sourcePort: 40000, destination: AddressPrefix("10.0.0.5")!, destinationPort: 2222))
  }

  @Test func `other protocols and broken entries are no flow, and crash nothing`() throws {
    var udp = Self.original
    udp[28] = 17
    #expect(read(Self.entry(udp)) == nil)
    let whole = Self.entry()
    for count in 0..<whole.count { #expect(read(Array(whole.prefix(count))) == nil) }
    for position in whole.indices {
      for value in [UInt8(0), 3, 255] {
        var broken = whole
        broken[position] = value
        _ = read(broken)
      }
    }
  }

  @Test func `a deletion names the ends, the entry's number, and its zone`() throws {
    let zone: [UInt8] = [6, 0, 18, 0, 0, 5, 0, 0]
    let flow = try #require(read(Self.entry(zone: zone)))
    #expect(
      ConntrackMessages.deletion(of: flow).encode(sequence: 9)
        == [88, 0, 0, 0, 2, 1, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]  // IPCTNL_MSG_CT_DELETE, REQUEST
        + [2, 0, 0, 0] + [52, 0, 1, 0x80] + Self.original + [8, 0, 12, 0, 1, 2, 3, 4] + zone)
    #expect(
      ConntrackMessages.all.encode(sequence: 1)
        == [20, 0, 0, 0, 1, 1, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test(arguments: [
    (EINVAL, FirewallProblem.Kind.unavailable), (EPROTONOSUPPORT, .unavailable), (EPERM, .unavailable),
    (ETIMEDOUT, .timedOut), (EBUSY, .refused),
  ]) func `what the kernel says becomes a kind of problem`(errno: Int32, kind: FirewallProblem.Kind) {
    #expect(FlowCutter.kind(errno) == kind)
  }
}
