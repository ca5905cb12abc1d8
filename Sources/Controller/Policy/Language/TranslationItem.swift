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
  let port: UInt16?

  /// Why nothing can be sent there, or come from there, with what to do instead; nil where it can.
  static func fault(of prefix: AddressPrefix) -> (message: String, hint: String)? {
    func isIn(_ networks: String...) -> Bool { networks.contains { AddressPrefix($0)?.contains(prefix) == true } }
    if isIn("127.0.0.0/8", "::1") {
      return ("\(prefix) is the host itself to each host", "`redirect` sends to a port of this host")
    }
    let hint = "name the address of one host"
    if isIn("0.0.0.0/8", "::") { return ("\(prefix) is no host's address", hint) }
    if isIn("224.0.0.0/4", "ff00::/8", "255.255.255.255") { return ("\(prefix) is not the address of one host", hint) }
    return nil
  }
}
