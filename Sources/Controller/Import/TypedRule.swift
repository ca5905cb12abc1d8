package import Core
package import Lint

/// A rule that the policy language can say, and the exact text that the language makes of it.
package struct TypedRule: Hashable, Sendable {
  package enum Verdict: Hashable, Sendable {
    case accept, drop, reject, rejectWithReset
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

  package enum State: Hashable, Sendable {
    case established, invalid, new
  }

  package enum LogLevel: UInt8, Hashable, Sendable, CaseIterable {
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
  }

  package var source: MatchedPrefix?
  package var destination: MatchedPrefix?
  package var input: String?
  package var output: String?
  package var transport: Transport?
  package var state: State?
  package var rate: Rate?
  package var comment: String?
  package var verdict: Verdict

  init(_ verdict: Verdict) { self.verdict = verdict }

  /// Transports that have one name in the language and in what the programs print.
  static let names: Set<String> = ["tcp", "udp", "esp", "ah", "gre", "sctp", "ospf", "vrrp"]
  /// Those that are another one in each family.
  static let namesOfFamilies: [String: Family] = ["icmp": .ipv4, "igmp": .ipv4, "ipv6-icmp": .ipv6]

  /// The family it can only be in; nil for either.
  package var family: Family? {
    if let address = source ?? destination { return address.family }
    if case .snat(let to) = verdict { return to.utf8.contains(UInt8(ascii: ":")) ? .ipv6 : .ipv4 }
    if case .named(let name) = transport { return Self.namesOfFamilies[name] }
    return nil
  }

  /// The family shows in an address of it.
  var showsFamily: Bool {
    if case .snat = verdict { return true }
    return source != nil || destination != nil
  }

  /// Said by one word, with no place for anything else.
  var isOneWord: Bool { state == .established || state == .invalid }

  /// What belongs behind the rules of all policies: what is logged, and then refused.
  var isClosing: Bool {
    switch verdict {
    case .log: true
    case .drop, .reject:
      source == nil && destination == nil && input == nil && output == nil && transport == nil && state == nil
        && rate == nil
    case .accept, .rejectWithReset, .masquerade, .snat: false
    }
  }

  // MARK: Text

  /// The rule as the language makes it, in the words and the order of iptables-save.
  package func text(chain: String, _ family: Family) -> [UInt8] {
    var words = "-A \(chain)"
    for (option, prefix) in [("-s", source), ("-d", destination)] {
      if let prefix { words += " \(option) \(prefix.address)/\(prefix.length)" }
    }
    if let input { words += " -i \(input)" }
    if let output { words += " -o \(output)" }
    switch transport {
    case .tcp(let ports): words += Self.words("tcp", ports)
    case .udp(let ports): words += Self.words("udp", ports)
    case .named(let name): words += " -p \(name)"
    case nil: break
    }
    switch state {
    case .established: words += " -m conntrack --ctstate RELATED,ESTABLISHED"
    case .invalid: words += " -m conntrack --ctstate INVALID"
    case .new: words += " -m conntrack --ctstate NEW"
    case nil: break
    }
    if let rate { words += " -m limit --limit \(rate.count)/\(rate.unit.short)" }
    if let comment { words += " -m comment --comment " + Self.printed(comment) }
    return Array((words + " -j " + target(family)).utf8)
  }

  private func target(_ family: Family) -> String {
    switch verdict {
    case .accept: "ACCEPT"
    case .drop: "DROP"
    case .reject: "REJECT --reject-with \(family == .ipv4 ? "icmp" : "icmp6")-port-unreachable"
    case .rejectWithReset: "REJECT --reject-with tcp-reset"
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
    let isPlain = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    if isPlain, !text.isEmpty { return text }
    var printed = "\""
    for character in text.unicodeScalars {
      if character == "\"" || character == "\\" || character == "'" { printed += "\\" }
      printed.unicodeScalars.append(character)
    }
    return printed + "\""
  }
}
