package import Core
package import Ruleset

/// A packet that rules are asked about: the first of its kind from its sender, within every rate. What the probe leaves
/// open may be anything.
package struct PacketProbe: Hashable, Sendable {
  package enum Way: Hashable, Sendable {
    case input, output, forward
  }

  package enum Moment: Hashable, Sendable, CaseIterable {
    case inside, outside
  }

  package enum Interface: Hashable, Sendable {
    case named(String)
    /// Some interface, not the loopback.
    case external
    /// The packet has none, as one that is for this host has none to leave by.
    case none
  }

  package enum Peer: Hashable, Sendable {
    /// All the addresses of a prefix, mostly of one host.
    case address(AddressPrefix)
    /// An address of the wide world that no rule names.
    case stranger
    /// One of the host's own addresses, not the loopback's.
    case own
  }

  package let family: Family
  package let way: Way
  package var input: Interface
  package var output: Interface
  package var source: Peer
  package var destination: Peer
  package let transport: ProtocolNumber
  package var sourcePort: UInt16?
  package var destinationPort: UInt16?
  /// One state.
  package var state: ConnectionStates
  package var icmp: ICMPKind?
  package var tcpFlags: UInt8?
  /// When it comes.
  package var now: UTCTime?
  /// Whether it comes inside the window of every rule that has a time, or outside of all of them.
  package var moment: Moment?
  /// Sent by whom the connection was opened to. Nil for either.
  package var isReply: Bool?

  package init(
    _ family: Family, _ way: Way, _ transport: ProtocolNumber, state: ConnectionStates, from source: Peer,
    to destination: Peer
  ) {
    self.family = family
    self.way = way
    self.transport = transport
    self.state = state
    self.source = source
    self.destination = destination
    input = way == .output ? .none : .external
    output = way == .input ? .none : .external
    if state == .new { isReply = false }
    if transport == .tcp { tcpFlags = state == .new ? 0x02 : 0x10 }
  }

  /// What a rule says to a probe, the surest last.
  package enum Answer: Int, Comparable, Sendable {
    case no
    /// The rule asks for something that is not understood.
    case doubtful
    /// It depends on what the probe leaves open.
    case open
    case yes

    package static func < (a: Answer, b: Answer) -> Bool { a.rawValue < b.rawValue }

    func negated(_ isNegated: Bool) -> Answer {
      guard isNegated else { return self }
      return switch self {
      case .no: .yes
      case .yes: .no
      case .doubtful, .open: self
      }
    }
  }

  /// Whether the rule matches this packet.
  package func answer(to rule: RuleView, sets: KnownSets = .none) -> Answer {
    guard rule.isClear else { return .doubtful }
    var answer = Answer.yes
    func ask(_ next: @autoclosure () -> Answer) { if answer != .no { answer = min(answer, next()) } }
    if let asked = rule.transport {
      ask((asked.pattern == transport ? Answer.yes : .no).negated(asked.isNegated))
    }
    if let ports = rule.destinationPorts { ask(Self.answer(ports, destinationPort)) }
    if let ports = rule.sourcePorts { ask(Self.answer(ports, sourcePort)) }
    if let states = rule.states { ask(self.answer(states)) }
    if let asked = rule.source { ask(Self.answer(asked.pattern, source).negated(asked.isNegated)) }
    if let asked = rule.destination { ask(Self.answer(asked.pattern, destination).negated(asked.isNegated)) }
    if let asked = rule.input { ask(Self.answer(asked.pattern, input).negated(asked.isNegated)) }
    if let asked = rule.output { ask(Self.answer(asked.pattern, output).negated(asked.isNegated)) }
    if let asked = rule.icmp { ask(self.answer(asked.pattern).negated(asked.isNegated)) }
    if let asked = rule.tcpFlags {
      ask((tcpFlags.map { asked.pattern.matches($0) ? Answer.yes : .no } ?? .open).negated(asked.isNegated))
    }
    for match in rule.opaque { ask(sets.answer(match, to: self) ?? self.answer(match)) }
    return answer
  }

  private static func answer(_ ports: PortSet, _ port: UInt16?) -> Answer {
    if ports.isEverything { return .yes }
    return port.map { ports.contains($0) ? .yes : .no } ?? .open
  }

  private func answer(_ states: ConnectionStates) -> Answer {
    if !states.isDisjoint(with: state) { return .yes }
    return states.dependsOnTranslation ? .doubtful : .no
  }

  private static func answer(_ pattern: InterfacePattern, _ interface: Interface) -> Answer {
    switch interface {
    case .named(let name): pattern.matches(name) ? .yes : .no
    case .external: pattern == InterfacePattern("lo") ? .no : .open
    case .none: pattern.matches("") ? .yes : .no
    }
  }

  static func answer(_ prefix: AddressPrefix, _ peer: Peer) -> Answer {
    switch peer {
    case .address(let address):
      return prefix.contains(address) ? .yes : prefix.isDisjoint(from: address) ? .no : .open
    case .stranger: return prefix.length <= (prefix.family == .ipv4 ? 4 : 8) ? .open : .no
    case .own:
      let isNever = SpecialPrefixes.neverOwn(prefix.family).contains { $0.contains(prefix) }
      return isNever ? .no : .open
    }
  }

  private func answer(_ asked: ICMPKind) -> Answer {
    guard let icmp else { return .open }
    return asked.contains(icmp) ? .yes : asked.isDisjoint(from: icmp) ? .no : .open
  }

  /// A packet within every rate, from somebody who never came before.
  private func answer(_ match: OpaqueMatch) -> Answer {
    if match.module == "addrtype", destination == .own, match.words.suffix(2) == ["--dst-type", "LOCAL"] {
      if match.words.count == 2 { return .yes }
      if match.words.count == 3, match.words[0] == "!" { return .no }
    }
    guard !match.words.contains("!") else { return .doubtful }
    switch match.module {
    case "conntrack" where match.words == ["--ctdir", "ORIGINAL"]: return isReply.map { $0 ? .no : .yes } ?? .open
    case "conntrack" where match.words == ["--ctdir", "REPLY"]: return isReply.map { $0 ? .yes : .no } ?? .open
    case "time" where hasEnded(match) || moment == .outside: return .no
    case "time": return moment == .inside ? .yes : .doubtful
    case "limit": return .yes
    case "hashlimit": return match.words.contains("--hashlimit-above") ? .no : .yes
    case "connlimit": return match.words.contains("--connlimit-above") ? .no : .doubtful
    case "recent":
      if match.words.contains("--set") { return .yes }
      return match.words.contains("--rcheck") || match.words.contains("--update") ? .no : .doubtful
    default: return .doubtful
    }
  }
}

extension PacketProbe {
  /// The last second of a `--datestop` in UTC is over, whatever else the match asks for.
  private func hasEnded(_ match: OpaqueMatch) -> Bool {
    guard let now, !match.words.contains("--kerneltz"), let option = match.words.firstIndex(of: "--datestop"),
      match.words.indices.contains(option + 1), let end = UTCTime(match.words[option + 1] + "Z")
    else { return false }
    return end < now
  }
}

/// Addresses that no interface but the loopback has.
enum SpecialPrefixes {
  static func neverOwn(_ family: Family) -> [AddressPrefix] { family == .ipv4 ? ipv4 : ipv6 }

  private static let ipv4 = ["127.0.0.0/8", "224.0.0.0/4", "255.255.255.255"].compactMap {
    AddressPrefix(matched: $0, .ipv4)
  }
  private static let ipv6 = ["::1", "ff00::/8"].compactMap { AddressPrefix(matched: $0, .ipv6) }
}
