/// One port or a range of ports.
package struct PortRange: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let first: UInt16
  package let last: UInt16

  package init(_ first: UInt16, _ last: UInt16) {
    self.first = first
    self.last = last
  }

  /// `80`, `8000-8010` or `8000:8010`; nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "-" || $0 == ":" }
    let numbers = parts.compactMap(Self.number)
    guard numbers.count == parts.count, let first = numbers.first, let last = numbers.last, first <= last else {
      return nil
    }
    self.init(first, last)
  }

  package var isOne: Bool { first == last }

  /// As iptables-save prints it.
  package var description: String { isOne ? "\(first)" : "\(first):\(last)" }

  package static func < (a: PortRange, b: PortRange) -> Bool { (a.first, a.last) < (b.first, b.last) }

  private static func number(_ text: Substring) -> UInt16? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !text.hasPrefix("0"), let number = UInt16(text) else {
      return nil
    }
    return number
  }
}

/// Protocols with ports that multiport knows.
package enum PortTransport: String, Hashable, Sendable, CaseIterable {
  case tcp, udp, sctp, dccp
}

/// A transport and its ports, or another protocol by its number: what a service consists of.
package enum ServicePort: Hashable, Sendable {
  case ports(PortTransport, PortRange)
  case protocolNumber(UInt8)
}

/// IP protocols that have names here. Rules carry the number: a host may have no /etc/protocols.
package enum ProtocolNames {
  // IANA, Assigned Internet Protocol Numbers.
  private static let known: [String: UInt8] = [
    "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "pim": 103, "vrrp": 112, "carp": 112, "l2tp": 115,
    "sctp": 132, "dccp": 33, "udplite": 136,
  ]

  package static var names: [String] { known.keys.sorted() }

  package static func number(_ text: String) -> UInt8? {
    if let number = known[text] { return number }
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !text.hasPrefix("0") else { return nil }
    return UInt8(text)
  }

  /// As iptables itself spells those it knows without /etc/protocols.
  static func spelling(_ number: UInt8) -> String {
    switch number {
    case 1: "icmp"
    case 6: "tcp"
    case 17: "udp"
    case 33: "dccp"
    case 50: "esp"
    case 51: "ah"
    case 58: "ipv6-icmp"
    case 132: "sctp"
    case 136: "udplite"
    default: "\(number)"
    }
  }
}
