package import Core
internal import Inventory

/// A type of ICMP or ICMPv6, perhaps with its code.
package struct ICMPType: Hashable, Sendable {
  package let type: UInt8
  package let code: UInt8?

  package init(type: UInt8, code: UInt8?) {
    self.type = type
    self.code = code
  }

  /// `8`, `3/4`, or a name that iptables has for it.
  package init?(_ text: String, _ family: Family) {
    if let type = Self.names[family][text] {
      self.init(type: type, code: nil)
      return
    }
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let type = Self.number(parts[0]) else { return nil }
    // iptables takes type 255 of ICMP as any.
    guard family == .ipv6 || type != .max else { return nil }
    let code = parts.count == 1 ? nil : Self.number(parts[1])
    guard parts.count == 1 || code != nil else { return nil }
    self.init(type: type, code: code)
  }

  private static func number(_ text: Substring) -> UInt8? {
    UInt8(text).flatMap { "\($0)" == text ? $0 : nil }
  }

  /// The names of RFC 792 and RFC 4443 that iptables and ip6tables share, and those of neighbours (RFC 4861).
  package static let names = PerFamily<[String: UInt8]>(
    ipv4: [
      "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
      "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
      "timestamp-request": 13, "timestamp-reply": 14, "address-mask-request": 17, "address-mask-reply": 18,
    ],
    ipv6: [
      "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
      "echo-request": 128, "echo-reply": 129, "router-solicitation": 133, "router-advertisement": 134,
      "neighbour-solicitation": 135, "neighbor-solicitation": 135, "neighbour-advertisement": 136,
      "neighbor-advertisement": 136, "redirect": 137,
    ])

  static func read(_ node: YAMLNode, _ family: Family, _ problems: inout Problems) -> ICMPType? {
    guard let text = node.string(&problems) else { return nil }
    if let type = ICMPType(text, family) { return type }
    problems.add(
      node.location, "\(quoted(text)) is no \(family == .ipv4 ? "ICMP" : "ICMPv6") type",
      hint: nearestHint(text, among: names[family].keys.sorted())
        ?? "a name such as echo-request, a number, or a number and a code: 3/4")
    return nil
  }

  static func transport(_ family: Family) -> String { family == .ipv4 ? "icmp" : "ipv6-icmp" }

  package var text: String { code.map { "\(type)/\($0)" } ?? "\(type)" }

  func module(_ family: Family) -> String {
    family == .ipv4 ? "-m icmp --icmp-type \(text)" : "-m icmp6 --icmpv6-type \(text)"
  }
}
