package import Ruleset

/// One rule in parts that can be compared and asked, whether a person or a save program wrote it.
///
/// What is not understood stays opaque, with its exact words: nothing is guessed. Two spellings of one match have one
/// view; comments and the order of options do not count.
package struct RuleView: Hashable, Sendable {
  package enum Target: Hashable, Sendable {
    /// It only counts.
    case none
    case jump(String)
    case goTo(String)
  }

  package var chain: String
  /// The line in the text that was parsed.
  package var line: Int
  /// False when the words are not in order: nobody can tell what the rule says. Nothing else is filled in then.
  package var isClear = true

  package var input: Negatable<InterfacePattern>?
  package var output: Negatable<InterfacePattern>?
  package var source: Negatable<AddressPrefix>?
  package var destination: Negatable<AddressPrefix>?
  package var transport: Negatable<ProtocolNumber>?
  /// All ports, when only the protocol's header has to be there.
  package var sourcePorts: PortSet?
  package var destinationPorts: PortSet?
  /// It matches a packet in any of these.
  package var states: ConnectionStates?
  package var icmp: Negatable<ICMPKind>?
  package var tcpFlags: Negatable<TCPFlagTest>?
  package var opaque: [OpaqueMatch] = []

  package var comment: String?
  package var target = Target.none
  /// The words behind the target that are its own.
  package var targetOptions: [String] = []

  init(chain: String, line: Int) {
    self.chain = chain
    self.line = line
  }

  /// It matches every packet.
  package var isUnconditional: Bool {
    isClear && input == nil && output == nil && source == nil && destination == nil && transport == nil
      && sourcePorts == nil && destinationPorts == nil && states == nil && icmp == nil && tcpFlags == nil
      && opaque.isEmpty
  }

  /// It takes some of the packets it names, by rate, chance or history.
  package var isRationed: Bool { opaque.contains { OpaqueMatch.rationing.contains($0.module) } }

  package func jumps(to names: Set<String>) -> Bool {
    if case .jump(let name) = target { names.contains(name) } else { false }
  }
}

/// A match that is not taken apart.
package struct OpaqueMatch: Hashable, Sendable {
  /// Of `-m`; `-` for options of iptables itself.
  package let module: String
  /// Options and values in their order, `!` included.
  package let words: [String]

  package init(module: String, words: [String]) {
    self.module = module
    self.words = words
  }

  package static let core = "-"

  /// The same packet, asked twice, gets the same answer. False for whatever nobody is sure of.
  package var isStateless: Bool {
    Self.stateless.contains(module) && !words.contains { $0.hasPrefix("--ctexpire") }
  }

  static let rationing: Set<String> = ["limit", "hashlimit", "statistic", "quota", "recent", "connlimit", "nth"]

  private static let stateless: Set<String> = [
    core, "addrtype", "ah", "comment", "connmark", "conntrack", "cpu", "dccp", "devgroup", "dscp", "dst", "ecn", "esp",
    "eui64", "frag", "geoip", "hbh", "helper", "hl", "icmp", "icmp6", "iprange", "ipv6header", "length", "mac", "mark",
    "mh", "multiport", "owner", "physdev", "pkttype", "policy", "realm", "rt", "sctp", "set", "state", "tcp", "tcpmss",
    "tos", "ttl", "u32", "udp",
  ]
}
