internal import Glibc

/// The one line that comes before the protocol on the unix socket: `source ADDRESS`, where the SSH connection came
/// from, or `source -`.
package struct Preamble: Hashable, Sendable {
  /// In bytes, the line feed included.
  package static let maximumLength = 80

  /// A numeric address of either family, without a zone; empty when it did not come over SSH.
  package let source: String

  /// From the value of SSH_CONNECTION, which sshd sets: `client-address client-port server-address server-port`.
  /// Anything else counts as not over SSH.
  package init(sshConnection: String?) {
    let first = sshConnection.flatMap { $0.utf8.split(separator: UInt8(ascii: " ")).first.map(Array.init) }
    source = first.flatMap(Self.numericAddress) ?? ""
  }

  /// Reads the line without its line feed; nil unless it is exactly of the form.
  package init?(line: [UInt8]) {
    let prefix = Array("source ".utf8)
    guard line.starts(with: prefix) else { return nil }
    let value = Array(line[prefix.count...])
    if value == [UInt8(ascii: "-")] {
      source = ""
    } else if let address = Self.numericAddress(value), address.utf8.elementsEqual(value) {
      source = address
    } else {
      return nil
    }
  }

  package var bytes: [UInt8] { Array("source \(source.isEmpty ? "-" : source)\n".utf8) }

  /// The address without its zone (`fe80::1%eth0`), if it is one.
  private static func numericAddress(_ bytes: [UInt8]) -> String? {
    let withoutZone = bytes.prefix { $0 != UInt8(ascii: "%") }
    guard !withoutZone.isEmpty, withoutZone.count < Int(INET6_ADDRSTRLEN),
      withoutZone.allSatisfy({ (0x21...0x7e).contains($0) })
    else { return nil }
    let text = String(decoding: withoutZone, as: UTF8.self)
    var v4 = in_addr()
    var v6 = in6_addr()
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1 ? text : nil
  }
}
