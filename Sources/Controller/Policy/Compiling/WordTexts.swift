package import Core

/// The kinds of traffic that have a name in policies, as rules.
package enum WordTexts {
  /// Of each word: its rules in this chain, in their order.
  package static func rules(_ hook: BuiltInHook, _ family: Family, target: String) -> [(word: String, rules: [String])]
  {
    TrafficMatch.Word.allCases.filter { hook != .forward || $0 != .dhcpClient }.map { word in
      (word.rawValue, texts(word, hook, family).map { $0.rule(in: hook.chain, target: target) })
    }
  }

  static func texts(_ word: TrafficMatch.Word, _ hook: BuiltInHook, _ family: Family) -> [MatchText] {
    switch word {
    case .established: [MatchText(modules: ["-m conntrack --ctstate RELATED,ESTABLISHED"])]
    case .invalid: [MatchText(modules: ["-m conntrack --ctstate INVALID"])]
    case .icmpEssential: family == .ipv4 ? icmp : icmpv6(hook)
    case .dhcpClient: dhcpClient(hook, family)
    case .multicast: [toMany("multicast", hook)]
    // IPv6 has none.
    case .broadcast: family == .ipv4 ? [toMany("broadcast", hook)] : []
    }
  }

  /// By link layer, which what the host itself sends has not come to yet.
  private static func toMany(_ kind: String, _ hook: BuiltInHook) -> MatchText {
    MatchText(modules: [
      hook == .output ? "-m addrtype --dst-type \(kind.uppercased())" : "-m pkttype --pkt-type \(kind)"
    ])
  }

  /// Errors that must never be dropped (3 unreachable, which "fragmentation needed" is one of, 11 time exceeded, 12
  /// parameter problem), and echo requests. Answers to these belong to a connection.
  private static let icmp = [3, 11, 12, 8].map { type in
    MatchText(transport: "icmp", modules: ["-m icmp --icmp-type \(type)"])
  }

  /// RFC 4890: errors (section 4.3.1) and echo everywhere; what neighbours say to each other (section 4.4.1) only where
  /// it is never forwarded. A hop limit of 255 proves that no router forwarded it.
  private static func icmpv6(_ hook: BuiltInHook) -> [MatchText] {
    // 1 unreachable, 2 packet too big, 3 time exceeded, 4 parameter problem, 128 and 129 echo.
    let errors = [1, 2, 3, 4, 128, 129].map { MatchText(transport: "ipv6-icmp", modules: [type($0)]) }
    guard hook != .forward else { return errors }
    // 133 and 134 router solicitation and advertisement, 135 and 136 the same of neighbours: IPv6's ARP and more.
    let discovery = [133, 134, 135, 136].map {
      MatchText(transport: "ipv6-icmp", modules: [type($0), "-m hl --hl-eq 255"])
    }
    // Multicast listener discovery: switches that snoop it cut off who does not answer, and neighbour discovery itself
    // runs over multicast. 130 query, 131 report, 132 done, 143 report of version 2. A host says it before it has an
    // address (RFC 3590), so on the way out the source is left open.
    let listeners = [130, 131, 132, 143].map {
      MatchText(source: hook == .input ? "fe80::/10" : "", transport: "ipv6-icmp", modules: [type($0)])
    }
    return discovery + listeners + errors
  }

  private static func type(_ number: Int) -> String { "-m icmp6 --icmpv6-type \(number)" }

  /// Leases are renewed by broadcast and multicast, of which no connection knows the answer.
  private static func dhcpClient(_ hook: BuiltInHook, _ family: Family) -> [MatchText] {
    switch (hook, family) {
    case (.input, .ipv4): [MatchText(transport: "udp", modules: ["-m udp --sport 67 --dport 68"])]
    case (.output, .ipv4): [MatchText(transport: "udp", modules: ["-m udp --sport 68 --dport 67"])]
    case (.input, .ipv6):
      [
        MatchText(
          source: "fe80::/10", destination: "fe80::/10", transport: "udp", modules: ["-m udp --sport 547 --dport 546"])
      ]
    case (.output, .ipv6):
      [MatchText(source: "fe80::/10", transport: "udp", modules: ["-m udp --sport 546 --dport 547"])]
    case (.forward, _): []
    }
  }
}
