internal import Ruleset

extension TCPFlagTest {
  /// `--syn`, or the two lists of `--tcp-flags`.
  init?(_ values: [RuleWord]) {
    if values.isEmpty {
      self = .syn
      return
    }
    guard values.count == 2, let mask = Self.flags(values[0].text), let set = Self.flags(values[1].text) else {
      return nil
    }
    self.init(mask: mask, set: set)
  }

  private static func flags(_ list: String) -> UInt8? {
    let bits: [String: UInt8] = [
      "FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0,
    ]
    var flags: UInt8 = 0
    for name in list.split(separator: ",", omittingEmptySubsequences: false) {
      guard let bit = bits[name.uppercased()] else { return nil }
      flags |= bit
    }
    return flags
  }
}

extension ICMPKind {
  /// `8`, `3/4`, or the commonest names.
  init?(_ text: String, isIPv6: Bool) {
    let known = isIPv6 ? Self.namesIPv6 : Self.namesIPv4
    if let kind = known[text] {
      self = kind
      return
    }
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let type = PortSet.number(parts[0], atMost: 255) else { return nil }
    // In IPv4, type 255 with every code stands for any type.
    guard isIPv6 || type != 255 else { return nil }
    guard parts.count == 2 else {
      self.init(type: UInt8(type))
      return
    }
    guard let code = PortSet.number(parts[1], atMost: 255) else { return nil }
    self.init(type: UInt8(type), code: UInt8(code))
  }

  private static let namesIPv4: [String: ICMPKind] = [
    "echo-reply": ICMPKind(type: 0), "pong": ICMPKind(type: 0), "destination-unreachable": ICMPKind(type: 3),
    "fragmentation-needed": ICMPKind(type: 3, code: 4), "source-quench": ICMPKind(type: 4),
    "redirect": ICMPKind(type: 5), "echo-request": ICMPKind(type: 8), "ping": ICMPKind(type: 8),
    "router-advertisement": ICMPKind(type: 9), "router-solicitation": ICMPKind(type: 10),
    "time-exceeded": ICMPKind(type: 11), "parameter-problem": ICMPKind(type: 12),
    "timestamp-request": ICMPKind(type: 13), "timestamp-reply": ICMPKind(type: 14),
  ]

  private static let namesIPv6: [String: ICMPKind] = [
    "destination-unreachable": ICMPKind(type: 1), "packet-too-big": ICMPKind(type: 2),
    "time-exceeded": ICMPKind(type: 3), "parameter-problem": ICMPKind(type: 4), "echo-request": ICMPKind(type: 128),
    "echo-reply": ICMPKind(type: 129), "router-solicitation": ICMPKind(type: 133),
    "router-advertisement": ICMPKind(type: 134), "neighbour-solicitation": ICMPKind(type: 135),
    "neighbor-solicitation": ICMPKind(type: 135), "neighbour-advertisement": ICMPKind(type: 136),
    "neighbor-advertisement": ICMPKind(type: 136), "redirect": ICMPKind(type: 137),
  ]
}
