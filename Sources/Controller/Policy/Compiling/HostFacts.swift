internal import Core
internal import Inventory
internal import Ruleset

/// What a policy may ask about the host it is compiled for.
struct HostFacts: Sendable {
  let host: InventoryHost
  /// Where it sees its managers come from; sorted, each once.
  let controllers: [NumericAddress]
  /// Where its sshd listens.
  let sshPorts: [PortRange]
  /// It stands for no host of an inventory.
  let isStandalone: Bool
  /// No agent makes the ipsets that its rules would name.
  let lacksSets: Bool

  init(
    _ host: InventoryHost, controllers: [NumericAddress], reported: ReportedFacts = .none, isStandalone: Bool = false,
    lacksSets: Bool = false
  ) {
    self.isStandalone = isStandalone
    self.lacksSets = lacksSets
    self.host = host
    self.controllers = controllers
    sshPorts = host.sshPorts(reported).map { PortRange($0, $0) }
  }

  /// The texts of a variable: one, or those of a list. Nil when the host has no such variable, or it is neither.
  func variable(_ name: String) -> [String]? {
    switch host.variables[name] {
    case .list(let values):
      let texts = values.compactMap(Self.text)
      return texts.count == values.count ? texts : nil
    case let value?: return Self.text(value).map { [$0] }
    case nil: return nil
    }
  }

  /// Ports are written as numbers.
  private static func text(_ value: InventoryValue) -> String? {
    if case .integer(let number) = value { return "\(number)" }
    return value.string
  }
}

/// The numeric addresses of hosts and groups, found once for a fleet.
final class FleetAddresses: Sendable {
  /// What is known of one host or of all hosts of a group.
  struct Known: Sendable {
    var prefixes: [AddressPrefix] = []
    /// Hosts of which no numeric address is known.
    var missing: [String] = []
  }

  private let groups: [String: Known]
  private let hosts: [String: Known]

  init(_ inventory: HostInventory, pins: NamePins) {
    var hosts: [String: Known] = [:]
    for host in inventory.hosts { hosts[host.id.description] = Self.known(host, pins) }
    var groups: [String: Known] = [:]
    for group in inventory.groups {
      let members = group.hostIndices.compactMap { hosts[inventory.hosts[$0].id.description] }
      groups[group.name] = Known(
        prefixes: AddressPrefix.merged(members.flatMap(\.prefixes)), missing: members.flatMap(\.missing))
    }
    self.hosts = hosts
    self.groups = groups
  }

  func group(_ name: String) -> Known? { groups[name] }
  func host(_ name: String) -> Known? { hosts[name] }
  var groupNames: [String] { groups.keys.sorted() }
  var hostNames: [String] { hosts.keys.sorted() }

  private static func known(_ host: InventoryHost, _ pins: NamePins) -> Known {
    var prefixes: [AddressPrefix] = []
    for text in host.addresses {
      // A zone names an interface of the controller: the address itself is what others see.
      if let address = NumericAddress(String(text.prefix { $0 != "%" })) {
        prefixes.append(AddressPrefix(address))
      } else {
        prefixes += pins.addresses(of: text) ?? []
      }
    }
    return Known(prefixes: AddressPrefix.merged(prefixes), missing: prefixes.isEmpty ? [host.id.description] : [])
  }
}
