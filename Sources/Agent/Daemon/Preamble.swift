package import Apply
internal import Core
internal import Glibc

/// The one line that comes before the protocol on the unix socket: `source ADDRESS PORT ADDRESS PORT`, the two ends of
/// the SSH connection, or `source -`.
package struct Preamble: Hashable, Sendable {
  /// In bytes, the line feed included: two of the longest addresses and ports.
  package static let maximumLength = 7 + 2 * (longestAddress + 1 + 5) + 1 + 1
  private static let longestAddress = Int(INET6_ADDRSTRLEN) - 1

  /// Nil when it did not come over SSH.
  package let ends: ConnectionEnds?

  /// Where the SSH connection came from, or empty.
  package var source: String { ends?.source ?? "" }

  /// From the value of SSH_CONNECTION, which sshd sets: `client-address client-port server-address server-port`.
  /// Anything else counts as not over SSH.
  package init(sshConnection: String?) {
    let fields = (sshConnection ?? "").utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    let withoutZones = fields.map { Array($0.prefix { $0 != UInt8(ascii: "%") }) }
    ends = ConnectionEnds(withoutZones)
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
    guard let ends = ConnectionEnds(fields.map(Array.init)) else { return nil }
    self.ends = ends
  }

  package var bytes: [UInt8] { Array("source \(ends.map(\.words) ?? "-")\n".utf8) }
}

extension ConnectionEnds {
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
    if inet_pton(AF_INET, text, &v4) == 1 { return written(AF_INET, &v4) }
    return inet_pton(AF_INET6, text, &v6) == 1 ? written(AF_INET6, &v6) : nil
  }

  private static func written(_ family: Int32, _ address: UnsafeRawPointer) -> String? {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, address, &text, socklen_t(text.count)) != nil else { return nil }
    let words = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // A socket of both families calls IPv4 so, and not every SSH server calls it by its own name.
    let mapped = "::ffff:"
    return words.hasPrefix(mapped) && words.utf8.contains(UInt8(ascii: "."))
      ? String(words.dropFirst(mapped.count)) : words
  }

  /// 1 to 65535, in the one way to write it.
  private static func port(_ bytes: [UInt8]) -> UInt16? {
    guard (1...5).contains(bytes.count), bytes[0] != UInt8(ascii: "0"),
      bytes.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return UInt16(String(decoding: bytes, as: UTF8.self))
  }
}
