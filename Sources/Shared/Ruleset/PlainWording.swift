internal import Core

// Save programs of different versions word the same rule differently (1.8.7, 1.8.9 and 1.8.11, both backends): protocols
// by name or by number, the end of a string match where it is the end of the packet, two spaces before an NFLOG prefix.

extension Rule {
  /// In the one wording that all versions' rules have in common. A rule that no version words otherwise is itself.
  package var inPlainWords: Rule {
    guard mayBeWordedOtherwise, let words = try? words() else { return self }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count)
    var match: RuleWord?
    var isBeforeMatches = true
    var index = 0
    while index < words.count {
      let word = words[index]
      let value = index + 1 < words.count ? words[index + 1] : nil
      if RuleShape.isJump(word) {
        match = nil
        isBeforeMatches = false
      } else if !word.isQuoted, word.says("-m") {
        match = value
        isBeforeMatches = false
      }
      // Also what the option's own default says.
      if match?.says("string") == true, !word.isQuoted, word.says("--to"), value?.says("65535") == true {
        index += 2
        continue
      }
      if !text.isEmpty { text.append(space) }
      text += self[word]
      if isBeforeMatches, !word.isQuoted, word.says("-p"), let value {
        text.append(space)
        text += ProtocolNumber.named(value.value) ?? self[value]
        index += 1
      }
      index += 1
    }
    return Rule(text: text, line: line)
  }

  private subscript(word: RuleWord) -> ArraySlice<UInt8> {
    bytes[bytes.startIndex + word.range.lowerBound..<bytes.startIndex + word.range.upperBound]
  }

  /// There may be a hundred thousand rules, and next to none is.
  private var mayBeWordedOtherwise: Bool {
    bytes.withUnsafeBufferPointer { text in
      if text.holds("  ") || text.holds("--to 65535") { return true }
      guard let start = text.place(of: " -p ").map({ $0 + 4 }) else { return false }
      let name = text[start...].prefix { $0 != space }
      return !Self.alike.contains { name.elementsEqual($0) }
    }
  }

  /// What every version prints in this way.
  private static let alike = ["tcp", "udp", "icmp", "ipv6-icmp"].map { Array($0.utf8) }
}

/// Protocols that some versions print by the name that `/etc/protocols` has for them.
enum ProtocolNumber {
  static func named(_ name: ArraySlice<UInt8>) -> ArraySlice<UInt8>? { numbers[String(decoding: name, as: UTF8.self)] }

  private static let numbers = [
    "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "egp": 8, "igp": 9, "pup": 12, "hmp": 20, "xns-idp": 22, "rdp": 27,
    "iso-tp4": 29, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44,
    "idrp": 45, "rsvp": 46, "gre": 47, "skip": 57, "ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73, "vmtp": 81,
    "eigrp": 88, "ospf": 89, "ospfigp": 89, "ax.25": 93, "ipip": 94, "etherip": 97, "encap": 98, "pim": 103,
    "ipcomp": 108, "vrrp": 112, "l2tp": 115, "isis": 124, "fc": 133, "mpls-in-ip": 137, "manet": 138, "hip": 139,
    "shim6": 140, "wesp": 141, "rohc": 142, "ethernet": 143,
  ].mapValues { Array("\($0)".utf8)[...] }
}
