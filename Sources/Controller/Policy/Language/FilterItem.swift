internal import Core
internal import Ruleset

/// What a rule looks for. Everything that is given must match; of several values of one key, one.
struct TrafficMatch: Sendable {
  /// Traffic that has a name of its own, because it is more than one rule or differs between families.
  enum Word: String, CaseIterable, Sendable {
    case established, invalid
    case icmpEssential = "icmp-essential"
    case dhcpClient = "dhcp-client"
    case broadcast, multicast
  }

  enum State: String, CaseIterable, Sendable {
    case new, established, related, invalid, untracked
  }

  let location: SourceLocation
  var word: Word?
  var input: [Located<InterfaceOperand>] = []
  var output: [Located<InterfaceOperand>] = []
  /// Nil: from anywhere. An empty list cannot be written.
  var from: [Located<AddressOperand>]?
  var to: [Located<AddressOperand>]?
  var ports: [(transport: PortTransport, ports: [Located<PortOperand>])] = []
  /// Protocols as a whole, by number.
  var protocols: [UInt8] = []
  /// ICMP is another protocol in each family, with types of its own.
  var icmp = PerFamily<[ICMPType]>(ipv4: [], ipv6: [])
  var services: [Located<String>] = []
  var states: [State] = []
  /// Only rules of this family.
  var family: Family?
  var until: Located<LastDay>?
  var schedule: Located<String>?
  /// Connections opened inside the schedule's window end with it.
  var isStrict = false
  var comment: String?
  var owner: String?
  /// The connection tracking helper to attach.
  var helper: Located<String>?

  /// Whether every packet matches.
  var isEverything: Bool {
    word == nil && input.isEmpty && output.isEmpty && from == nil && to == nil && ports.isEmpty && protocols.isEmpty
      && icmp.ipv4.isEmpty && icmp.ipv6.isEmpty && services.isEmpty && states.isEmpty && until == nil && schedule == nil
      && family == nil
  }

  /// Whether only packets of protocols with ports match.
  var namesPorts: Bool { !ports.isEmpty || !services.isEmpty }
}

/// One item of `input`, `forward`, `output` and their `_last` parts.
struct FilterItem: Sendable {
  enum Action: Sendable {
    case accept, drop
    case reject(Rejection)
    case log(LogWords)
    case limit(RateLimit)
    /// A rule of the family as it was written, chain and all.
    case raw(PerFamily<[UInt8]?>)
  }

  let action: Action
  let match: TrafficMatch

  var location: SourceLocation { match.location }
}

/// `log`: what is written, and how often at most.
struct LogWords: Sendable {
  enum Level: String, CaseIterable, Sendable {
    case emergency, alert, critical, error, warning, notice, info, debug

    /// Of syslog (RFC 5424 section 6.2.1).
    var number: Int { Self.allCases.firstIndex(of: self)! }
  }

  var prefix: String?
  var level: Level?
  var limit: Rate?
  var burst: Int?
}

/// `limit`: drops what comes faster than this, and never accepts.
struct RateLimit: Sendable {
  enum Key: String, CaseIterable, Sendable {
    case source, destination, all
  }
  enum Excess: String, CaseIterable, Sendable {
    case drop, reject
  }

  let rate: Rate
  let burst: Int
  let key: Key
  let excess: Excess
}
