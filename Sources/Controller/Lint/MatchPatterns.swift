/// What one option of a rule asks of a packet.
package protocol MatchPattern: Hashable, Sendable {
  /// Whatever the other one matches, this one matches too.
  func contains(_ other: Self) -> Bool
  /// Nothing matches both.
  func isDisjoint(from other: Self) -> Bool
}

/// A pattern, or everything but what it matches.
package struct Negatable<Pattern: MatchPattern>: Hashable, Sendable {
  package let pattern: Pattern
  package let isNegated: Bool

  package init(_ pattern: Pattern, isNegated: Bool = false) {
    self.pattern = pattern
    self.isNegated = isNegated
  }

  /// True only if whatever `other` lets through, this lets through.
  func covers(_ other: Negatable<Pattern>?) -> Bool {
    guard let other else { return false }
    return switch (isNegated, other.isNegated) {
    case (false, false): pattern.contains(other.pattern)
    case (true, false): pattern.isDisjoint(from: other.pattern)
    case (true, true): other.pattern.contains(pattern)
    // All but a few are never within a few.
    case (false, true): false
    }
  }

  /// True only if nothing is let through by both.
  func isDisjoint(from other: Negatable<Pattern>?) -> Bool {
    guard let other else { return false }
    return switch (isNegated, other.isNegated) {
    case (false, false): pattern.isDisjoint(from: other.pattern)
    case (true, false): pattern.contains(other.pattern)
    case (false, true): other.pattern.contains(pattern)
    case (true, true): false
    }
  }

  /// The pattern itself, when it is not negated.
  package var positive: Pattern? { isNegated ? nil : pattern }
}

/// `eth0`, or `eth+` for all that begin so. A packet that has no interface has one without a name.
package struct InterfacePattern: MatchPattern {
  package let name: String
  package let isPrefix: Bool

  package init(_ text: String) {
    isPrefix = text.hasSuffix("+")
    name = isPrefix ? String(text.dropLast()) : text
  }

  package var isEverything: Bool { isPrefix && name.isEmpty }

  package func matches(_ interface: String) -> Bool {
    isPrefix ? interface.utf8.starts(with: name.utf8) : interface.utf8.elementsEqual(name.utf8)
  }

  package func contains(_ other: InterfacePattern) -> Bool {
    (isPrefix || !other.isPrefix) && matches(other.name)
  }

  package func isDisjoint(from other: InterfacePattern) -> Bool { !contains(other) && !other.contains(self) }
}

/// The number of a transport protocol, never 0, which is any.
package struct ProtocolNumber: MatchPattern {
  package let value: UInt8

  package static let tcp = ProtocolNumber(value: 6)
  package static let udp = ProtocolNumber(value: 17)
  package static let icmp = ProtocolNumber(value: 1)
  package static let icmpv6 = ProtocolNumber(value: 58)

  package func contains(_ other: ProtocolNumber) -> Bool { self == other }
  package func isDisjoint(from other: ProtocolNumber) -> Bool { self != other }

  package var hasPorts: Bool { [6, 17, 33, 132, 136].contains(value) }

  package init(value: UInt8) { self.value = value }

  /// Nil for a name that is not on the list: what it means is in a file of the host.
  package init?(_ text: some Collection<UInt8>) {
    if let number = PortSet.number(text, atMost: 255) {
      self.init(value: UInt8(number))
    } else if let number = Self.numbers[String(decoding: text, as: UTF8.self).lowercased()] {
      self.init(value: number)
    } else {
      return nil
    }
  }

  private static let numbers: [String: UInt8] = [
    "all": 0, "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "dccp": 33,
    "ipv6": 41, "rsvp": 46, "gre": 47, "esp": 50, "ipv6-crypt": 50, "ah": 51, "ipv6-auth": 51, "icmpv6": 58,
    "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132,
    "ipv6-mh": 135, "mobility-header": 135, "mh": 135, "udplite": 136,
  ]
}

/// One type of ICMP or ICMPv6, with one code or any.
package struct ICMPKind: MatchPattern {
  package let type: UInt8
  package let code: UInt8?

  package init(type: UInt8, code: UInt8? = nil) {
    self.type = type
    self.code = code
  }

  package func contains(_ other: ICMPKind) -> Bool { type == other.type && (code == nil || code == other.code) }

  package func isDisjoint(from other: ICMPKind) -> Bool {
    guard type == other.type else { return true }
    guard let code, let otherCode = other.code else { return false }
    return code != otherCode
  }
}

/// `--tcp-flags MASK COMPARED`: of the flags in the mask, exactly those of the second list are set.
package struct TCPFlagTest: MatchPattern {
  package let mask: UInt8
  package let set: UInt8

  package init(mask: UInt8, set: UInt8) {
    self.mask = mask
    self.set = set
  }

  /// FIN, SYN, RST, ACK looked at, SYN set.
  package static let syn = TCPFlagTest(mask: 0x17, set: 0x02)

  package func matches(_ flags: UInt8) -> Bool { flags & mask == set }

  package func contains(_ other: TCPFlagTest) -> Bool { mask & ~other.mask == 0 && other.set & mask == set }

  package func isDisjoint(from other: TCPFlagTest) -> Bool {
    let common = mask & other.mask
    return set & common != other.set & common
  }
}

/// The states of connection tracking. A packet is in one of the first five; two more say what NAT did.
package struct ConnectionStates: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let invalid = ConnectionStates(rawValue: 1)
  package static let new = ConnectionStates(rawValue: 2)
  package static let established = ConnectionStates(rawValue: 4)
  package static let related = ConnectionStates(rawValue: 8)
  package static let untracked = ConnectionStates(rawValue: 16)
  static let dnat = ConnectionStates(rawValue: 64)
  package static let translated = ConnectionStates(rawValue: 32 | 64)
  package static let everyPacket = ConnectionStates(rawValue: 31)

  package var dependsOnTranslation: Bool { !isDisjoint(with: .translated) }

  /// Nil when a word is none of the states.
  init?(_ list: some Collection<UInt8>) {
    self = []
    for word in list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      switch String(decoding: word, as: UTF8.self).uppercased() {
      case "INVALID": insert(.invalid)
      case "NEW": insert(.new)
      case "ESTABLISHED": insert(.established)
      case "RELATED": insert(.related)
      case "UNTRACKED": insert(.untracked)
      case "SNAT": insert(ConnectionStates(rawValue: 32))
      case "DNAT": insert(.dnat)
      default: return nil
      }
    }
  }
}
