internal import Core
internal import Ruleset

/// One item of `nat`.
struct TranslationItem: Sendable {
  enum Action: Sendable {
    case masquerade
    case snat(to: Located<Endpoint>)
    case forwardPort(to: Located<Endpoint>)
    case balance(to: [Located<Endpoint>], isRandom: Bool)
    /// A rule of the family as it was written, chain and all.
    case raw(PerFamily<[UInt8]?>)
    case redirect(to: PortRange)
    /// Not translated by what stands below.
    case exempt
  }

  let action: Action
  let match: TrafficMatch
  /// `forward: explicit`: what was translated may pass only where an item says so.
  var placesForward = false
}

/// Where packets are sent, or what they come from afterwards: an address, perhaps with a port.
struct Endpoint: Hashable, Sendable {
  enum Address: Hashable, Sendable {
    case numeric(AddressPrefix)
    case variable(String)
  }

  let address: Address
  let ports: PortRange?
}
