import Apply
import Core
import Glibc
import Testing

@testable import Netfilter

@Suite struct TCPConnectionsTests {
  /// As Linux 6.1 prints them on a little-endian machine.
  @Test(arguments: [
    (
      "   1: 010200C0:0016 070200C0:9C41 01 00000000:00000000 02:000A7D24 00000000     0        0 25012 2",
      ConnectionEnds(source: "192.0.2.7", sourcePort: 40001, destination: "192.0.2.1", destinationPort: 22)
    ),
    (
      "  12: 010200C0:0016 070200C0:9C41 03 00000000:00000000 01:00000063 00000000     0        0 0 1",
      ConnectionEnds(source: "192.0.2.7", sourcePort: 40001, destination: "192.0.2.1", destinationPort: 22)
    ),
    (
      "   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000007000000:9C41 01 00000000:00000000",
      ConnectionEnds(source: "2001:db8::7", sourcePort: 40001, destination: "2001:db8::1", destinationPort: 22)
    ),
    (
      "   0: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF0000070200C0:9C41 01 00000000:00000000",
      ConnectionEnds(source: "192.0.2.7", sourcePort: 40001, destination: "192.0.2.1", destinationPort: 22)
    ),
    ("   0: 010200C0:0017 070200C0:9C41 01 00000000:00000000", nil),
    ("   0: 010200C0:0016 070200C0:9C41 06 00000000:00000000", nil),
    ("   0: 00000000:0016 00000000:0000 0A 00000000:00000000", nil),
    ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", nil),
    ("", nil), ("   0: 010200C0 070200C0:9C41 01", nil), ("   0: 0102C0:0016 070200C0:9C41 01", nil),
  ]) func `a line names both ends of a connection that lives`(line: String, ends: ConnectionEnds?) {
    #expect(TCPConnections.ends(Array(line.utf8)[...], [22]) == ends)
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func `a connection is among them while it is open`(host: String) throws {
    let address = try #require(IPAddress(host))
    let listener = Descriptor(takingOwnershipOf: socket(address.number, Int32(SOCK_STREAM.rawValue), 0))
    try #require(address.withSocketAddress(port: 0) { bind(listener.raw, $0, $1) } == 0)
    try #require(listen(listener.raw, 5) == 0)
    let port = try Self.port(of: listener)
    #expect(try TCPConnections.read(to: [port]).isEmpty)
    var peer: Descriptor? = Descriptor(takingOwnershipOf: socket(address.number, Int32(SOCK_STREAM.rawValue), 0))
    try #require(address.withSocketAddress(port: port) { connect(peer!.raw, $0, $1) } == 0)
    let ends = ConnectionEnds(
      source: host, sourcePort: try Self.port(of: peer!), destination: host, destinationPort: port)
    #expect(try TCPConnections.read(to: [port]) == [ends])
    #expect(try TCPConnections.read(to: [port == 1 ? 2 : 1]).isEmpty)
    // The listener holds the other end back, so that it goes no further than the peer's good-bye.
    let accepted = Descriptor(takingOwnershipOf: accept(listener.raw, nil, nil))
    peer = nil
    #expect(try TCPConnections.read(to: [port]) == [ends])
    withExtendedLifetime(accepted) {}
  }

  private static func port(of socket: Descriptor) throws -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.raw, $0, &length) }
    }
    try #require(result == 0)
    // Behind the family, in network order, in both families.
    return withUnsafeBytes(of: &storage) { UInt16($0[2]) << 8 | UInt16($0[3]) }
  }
}
