internal import Apply
internal import Core
internal import Glibc

/// /proc/net/tcp and tcp6: one line for each socket of this network namespace (proc_net(5)).
enum TCPConnections {
  /// Longer than a line ever is: addresses of 128 bits, and ten more fields.
  private static let maximumLine = 512

  /// Also of this thread alone, should it have a network namespace of its own.
  private static let directory = "/proc/thread-self/net"

  static func read(to ports: Set<UInt16>) throws -> Set<ConnectionEnds> {
    var all = Set<ConnectionEnds>()
    for name in ["tcp", "tcp6"] {
      let path = "\(directory)/\(name)"
      let raw = open(path, O_RDONLY | O_CLOEXEC)
      guard raw >= 0 else {
        // A kernel without IPv6 has no such file.
        if name == "tcp6", errno == ENOENT { continue }
        throw SystemCallError.last("open", path)
      }
      let file = Descriptor(takingOwnershipOf: raw)
      var rest: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = buffer.withUnsafeMutableBytes { bytes in
          uninterrupted { Glibc.read(file.raw, bytes.baseAddress, bytes.count) }
        }
        guard count >= 0 else { throw SystemCallError.last("read", path) }
        if count == 0 { break }
        rest += buffer[..<count]
        let end = rest.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        for line in rest[..<end].split(separator: UInt8(ascii: "\n")) {
          if let ends = ends(line, ports) { all.insert(ends) }
        }
        rest.removeFirst(end)
        guard rest.count <= maximumLine else { throw Reason("\(path) has a line of over \(maximumLine) bytes") }
      }
    }
    return all
  }

  /// `0: 0100007F:0016 0200007F:9C40 01 …`: number, own end, the peer's, state.
  static func ends(_ line: ArraySlice<UInt8>, _ ports: Set<UInt16>) -> ConnectionEnds? {
    // Most lines of a busy host are about other ports: look at those four digits before anything is taken apart.
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
      let ownPort = line[(colon + 1)...].firstIndex(of: UInt8(ascii: ":")).map({ line[($0 + 1)...].prefix(4) }),
      let port = number(ownPort).flatMap(UInt16.init(exactly:)), ports.contains(port)
    else { return nil }
    let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
    guard fields.count >= 4, let state = number(fields[3]), !ended.contains(state) else { return nil }
    guard let own = end(fields[1]), let peer = end(fields[2]) else { return nil }
    return ConnectionEnds(
      source: peer.address.description, sourcePort: peer.port, destination: own.address.description,
      destinationPort: own.port)
  }

  /// TCP_TIME_WAIT, TCP_CLOSE and TCP_LISTEN of net/tcp_states.h.
  private static let ended: Set<UInt32> = [6, 7, 10]

  /// Words of 32 bits in the machine's byte order, as hexadecimal numbers.
  private static func end(_ field: some Collection<UInt8>) -> (address: IPAddress, port: UInt16)? {
    let parts = field.split(separator: UInt8(ascii: ":"))
    guard parts.count == 2, let port = number(parts[1]).flatMap(UInt16.init(exactly:)) else { return nil }
    let digits = Array(parts[0])
    guard digits.count == 8 || digits.count == 32 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 8) {
      guard let word = number(digits[start..<start + 8]) else { return nil }
      withUnsafeBytes(of: word) { bytes += $0 }
    }
    // sshd calls a connection by IPv4 over a socket of IPv6 by its IPv4 addresses.
    return IPAddress(bytes: bytes).map { ($0.unmapped, port) }
  }

  private static func number(_ digits: some Collection<UInt8>) -> UInt32? {
    UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}
