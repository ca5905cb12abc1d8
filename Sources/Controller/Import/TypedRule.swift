package import Core
package import Ruleset

/// A rule that the policy language can say, and the exact text that the language makes of it.
package struct TypedRule: Hashable, Sendable {
  package enum Verdict: Hashable, Sendable {
    case accept, drop
    case reject(Rejection)
    case log(prefix: String?, level: LogLevel?)
    case masquerade
    case snat(to: String)
  }

  package enum Transport: Hashable, Sendable {
    case tcp([ClosedRange<UInt16>])
    case udp([ClosedRange<UInt16>])
    /// By its name, of any port.
    case named(String)
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
    if case .snat(let to) = verdict { return to.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4 }
    if case .named(let name) = transport { return Self.namesOfFamilies[name]?.family }
    return nil
  }

  /// The family shows in an address of it.
  var showsFamily: Bool {
    if case .snat = verdict { return true }
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

  /// What belongs behind the rules of all policies: what is logged, and then refused.
  var isClosing: Bool {
    switch verdict {
    case .log: true
    case .drop, .reject:
      source == nil && destination == nil && input == nil && output == nil && transport == nil && states.isEmpty
    case .accept, .masquerade, .snat: false
    }
  }

  // MARK: Text

  /// The rule as the language makes it, in the words and the order of iptables-save.
  package func text(chain: String, _ family: Family) -> [UInt8] {
    var words = "-A \(chain)"
    for (option, prefix) in [("-s", source), ("-d", destination)] {
      if let prefix { words += " \(option) \(prefix.ruleText)" }
    }
    if let input { words += " -i \(input)" }
    if let output { words += " -o \(output)" }
    switch transport {
    case .tcp(let ports): words += Self.words("tcp", ports)
    case .udp(let ports): words += Self.words("udp", ports)
    case .named(let name): words += " -p \(name)"
    case nil: break
    }
    if !states.isEmpty {
      let written = State.allCases.filter(states.contains).map { $0.rawValue.uppercased() }
      words += " -m conntrack --ctstate " + written.joined(separator: ",")
    }
    if let rate {
      words += " -m limit --limit \(rate.count)/\(rate.unit.short)" + (rate.burst.map { " --limit-burst \($0)" } ?? "")
    }
    if let comment { words += " -m comment --comment " + Self.printed(comment) }
    return Array((words + " -j " + target(family)).utf8)
  }

  private func target(_ family: Family) -> String {
    switch verdict {
    case .accept: "ACCEPT"
    case .drop: "DROP"
    case .reject(let rejection): "REJECT --reject-with \(rejection.option(family))"
    case .log(let prefix, let level):
      "LOG" + (prefix.map { " --log-prefix " + Self.printed($0) } ?? "")
        + (level.map { " --log-level \($0.rawValue)" } ?? "")
    case .masquerade: "MASQUERADE"
    case .snat(let to): "SNAT --to-source \(to)"
    }
  }

  private static func words(_ name: String, _ ports: [ClosedRange<UInt16>]) -> String {
    let texts = ports.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound):\($0.upperBound)" }
    return texts.count == 1
      ? " -p \(name) -m \(name) --dport \(texts[0])"
      : " -p \(name) -m multiport --dports \(texts.joined(separator: ","))"
  }

  /// As iptables-save prints text: in quotes when there is anything in it but letters, digits, `_` and `-`.
  static func printed(_ text: String) -> String {
    let isWord = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isWord ? text : "\"\(text)\""
  }

  /// What the language takes as a comment or prefix, and all programs print alike.
  static func isPlain(_ text: String, atMost limit: Int) -> Bool {
    (1...limit).contains(text.utf8.count) && !text.hasPrefix("-")
      && text.utf8.allSatisfy { (0x20...0x7e).contains($0) && !"\"\\'".utf8.contains($0) }
  }
}
