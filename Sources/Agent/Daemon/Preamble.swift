package import Apply
package import Core
internal import Glibc

/// The one line that comes before the protocol on the unix socket: `source ADDRESS PORT ADDRESS PORT`, the two ends of
/// the SSH connection, or `source -`.
package struct Preamble: Hashable, Sendable {
  /// In bytes, the line feed included: two of the longest addresses and ports.
  package static let maximumLength = 7 + 2 * (longestAddress + 1 + 5) + 1 + 1
  private static let longestAddress = Int(INET6_ADDRSTRLEN) - 1

  /// The two ends of a TCP connection.
  package struct Ends: Hashable, Sendable {
    /// Numeric addresses of either family, without a zone.
    package let source: String
    package let sourcePort: UInt16
    package let destination: String
    package let destinationPort: UInt16
  }

  /// Nil when it did not come over SSH.
  package let ends: Ends?

  /// Where the SSH connection came from, or empty.
  package var source: String { ends?.source ?? "" }

  /// From the value of SSH_CONNECTION, which sshd sets: `client-address client-port server-address server-port`.
  /// Anything else counts as not over SSH.
  package init(sshConnection: String?) {
    let fields = (sshConnection ?? "").utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    let withoutZones = fields.map { Array($0.prefix { $0 != UInt8(ascii: "%") }) }
    ends = Ends(withoutZones)
  }

  /// Reads the line without its line feed; nil unless it is exactly of the form.
  package init?(line: [UInt8]) {
    let prefix = Array("source ".utf8)
    guard line.starts(with: prefix) else { return nil }
    let value = line[prefix.count...]
    if value.elementsEqual("-".utf8) {
      ends = nil
      return
    }
    let fields = value.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard let ends = Ends(fields.map(Array.init)) else { return nil }
    self.ends = ends
  }

  package var bytes: [UInt8] { Array("source \(ends.map(\.words) ?? "-")\n".utf8) }

  /// What the agent knows of the connection; `opened` is when it first saw it.
  package func connection(opened: BootTime) -> ManagementConnection {
    guard let ends else { return ManagementConnection(source: "", opened: opened) }
    return ManagementConnection(
      source: ends.source, sourcePort: ends.sourcePort, destination: ends.destination,
      destinationPort: ends.destinationPort, opened: opened)
  }
}

extension Preamble.Ends {
  /// Nil unless there are two numeric addresses, each with a port behind it.
  fileprivate init?(_ fields: [[UInt8]]) {
    guard fields.count == 4, let source = Self.address(fields[0]), let sourcePort = Self.port(fields[1]),
      let destination = Self.address(fields[2]), let destinationPort = Self.port(fields[3])
    else { return nil }
    self.init(source: source, sourcePort: sourcePort, destination: destination, destinationPort: destinationPort)
  }

  fileprivate var words: String { "\(source) \(sourcePort) \(destination) \(destinationPort)" }

  private static func address(_ bytes: [UInt8]) -> String? {
    guard !bytes.isEmpty, bytes.count < Int(INET6_ADDRSTRLEN), bytes.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      return nil
    }
    let text = String(decoding: bytes, as: UTF8.self)
    var v4 = in_addr()
    var v6 = in6_addr()
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1 ? text : nil
  }

  /// 1 to 65535, in the one way to write it.
  private static func port(_ bytes: [UInt8]) -> UInt16? {
    guard (1...5).contains(bytes.count), bytes[0] != UInt8(ascii: "0"),
      bytes.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return UInt16(String(decoding: bytes, as: UTF8.self))
  }
}
