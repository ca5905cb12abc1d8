package import Core
package import Policy
package import Ruleset

/// A rule that the policy language can say, and the exact text that the language makes of it.
package struct TypedRule: Hashable, Sendable {
  package enum Verdict: Hashable, Sendable {
    case accept, drop
    case reject(Rejection)
    case log(prefix: String?, level: LogLevel?)
    case masquerade
    case snat(to: String)
    /// `10.8.0.5:80` or `[2001:db8::5]:80`, with or without its port.
    case dnat(to: String, Family)
    case redirect(to: UInt16)
    /// Accepted in nat: not translated by what stands below.
    case exempt
  }

  /// Which of the connections that match are this rule's.
  package enum Share: Hashable, Sendable {
    case nth(every: Int)
    case random(probability: String)
  }

  package enum Transport: Hashable, Sendable {
    case tcp([ClosedRange<UInt16>])
    case udp([ClosedRange<UInt16>])
    /// By its name, of any port.
    case named(String)
    /// Of the family's own ICMP.
    case icmp(ICMPType, Family)
  }

  /// In the order that the programs print them.
  package enum State: String, Hashable, Sendable, CaseIterable {
    case invalid, new, related, established, untracked
  }

  /// All but 4, which the programs do not print.
  package enum LogLevel: UInt8, Hashable, Sendable, CaseIterable {
    case emergency = 0
    case alert = 1
    case critical = 2
    case error = 3
    case notice = 5
    case info = 6
    case debug = 7
  }

  package struct Rate: Hashable, Sendable {
    package enum Unit: String, Hashable, Sendable, CaseIterable {
      case second, minute, hour, day
      /// As the programs print it.
      var short: String {
        switch self {
        case .second: "sec"
        case .minute: "min"
        case .hour: "hour"
        case .day: "day"
        }
      }
    }
    package let count: Int
    package let unit: Unit

    var largestBurst: Int {
      switch unit {
      case .second: 86_400 * count
      case .minute: 1440 * count
      case .hour: 24 * count
      case .day: count
      }
    }
    /// Nil is the kernel's own, which the programs do not print.
    package var burst: Int?
  }

  package var source: AddressPrefix?
  package var destination: AddressPrefix?
  package var input: String?
  package var output: String?
  package var transport: Transport?
  package var states: [State] = []
  package var rate: Rate?
  /// Only what is for the host's own addresses.
  package var isLocal = false
  package var share: Share?
  package var comment: String?
  package var verdict: Verdict

  init(_ verdict: Verdict) { self.verdict = verdict }

  /// Transports whose names every host has. Others are known by their numbers where there is no /etc/protocols.
  static let names: [String: Int] = ["tcp": 6, "udp": 17, "dccp": 33, "esp": 50, "ah": 51, "sctp": 132, "udplite": 136]
  /// Those that are another one in each family.
  static let namesOfFamilies: [String: (number: Int, family: Family)] = [
    "icmp": (1, .ipv4), "ipv6-icmp": (58, .ipv6),
  ]

  /// The family it can only be in; nil for either.
  package var family: Family? {
    if let address = source ?? destination { return address.family }
    switch verdict {
    case .snat(let to): return to.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4
    case .dnat(_, let family): return family
    case .accept, .drop, .reject, .log, .masquerade, .redirect, .exempt: break
    }
    return switch transport {
    case .named(let name): Self.namesOfFamilies[name]?.family
    case .icmp(_, let family): family
    case .tcp, .udp, nil: nil
    }
  }

  /// The family shows in an address of it, or in its kind of ICMP.
  var showsFamily: Bool {
    switch verdict {
    case .snat, .dnat: return true
    case .accept, .drop, .reject, .log, .masquerade, .redirect, .exempt: break
    }
    if case .icmp = transport { return true }
    return source != nil || destination != nil
  }

  /// The language has a word for it.
  var word: String? {
    var plain = TypedRule(verdict)
    plain.states = states
    guard self == plain else { return nil }
    return switch (verdict, states) {
    case (.accept, [.related, .established]): "established"
    case (.drop, [.invalid]): "invalid"
    default: nil
    }
  }
}
