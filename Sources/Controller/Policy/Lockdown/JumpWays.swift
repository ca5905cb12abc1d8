internal import Core
internal import Inventory
internal import Ruleset

/// Where hosts that are jumped through have to connect to, so that those behind them stay managed while they are locked.
struct JumpWays: Sendable {
  /// SSH of hosts behind, at one port.
  struct Way: Hashable, Sendable {
    let port: UInt16
    let prefixes: [AddressPrefix]
  }

  /// Of one host's ways in one family, shared by their ports. More addresses become the networks around them.
  static let prefixLimit = 1024

  private let ways: [HostID: [Way]]
  /// Hosts behind that have no numeric address, by the host that has to look them up.
  let lookedUp: [HostID: [Hop]]

  struct Hop: Hashable, Sendable {
    let name: String
    let isPinned: Bool
  }

  init(_ inventory: HostInventory, pins: NamePins) {
    let bastions = Self.hosts(of: inventory)
    var found: [HostID: [UInt16: Set<AddressPrefix>]] = [:]
    var lookedUp: [HostID: Set<Hop>] = [:]
    for host in inventory.hosts where !host.jump.isEmpty {
      let stops = host.jump.map { Stop($0, inventory) } + [Stop(host)]
      for (hop, next) in zip(host.jump, stops.dropFirst()) {
        let bastions = hop.inventoryHost.map { [$0] } ?? bastions[hop.host] ?? []
        let (prefixes, isNamed) = next.prefixes(pins)
        for bastion in bastions {
          found[bastion, default: [:]][next.port, default: []].formUnion(prefixes)
          if isNamed { lookedUp[bastion, default: []].insert(Hop(name: next.name, isPinned: !prefixes.isEmpty)) }
        }
      }
    }
    ways = found.mapValues { ports in
      let limit = max(1, Self.prefixLimit / ports.count)
      return ports.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        .map { Way(port: $0, prefixes: Self.folded($1, to: limit)) }
    }
    self.lookedUp = lookedUp.mapValues { $0.sorted { $0.name < $1.name } }
  }

  subscript(host: HostID) -> [Way] { ways[host] ?? [] }

  /// By address: a jump need not name its host as the inventory does.
  private static func hosts(of inventory: HostInventory) -> [String: [HostID]] {
    guard inventory.hosts.contains(where: { $0.jump.contains { $0.inventoryHost == nil } }) else { return [:] }
    var hosts: [String: [HostID]] = [:]
    for host in inventory.hosts {
      for address in host.addresses { hosts[address, default: []].append(host.id) }
    }
    return hosts
  }

  private static func folded(_ prefixes: Set<AddressPrefix>, to limit: Int) -> [AddressPrefix] {
    Family.allCases.flatMap { family in
      var folded = AddressPrefix.merged(prefixes.filter { $0.family == family })
      var length = family.addressBits
      while folded.count > limit {
        length -= 1
        folded = AddressPrefix.merged(folded.map { $0.widened(to: length) })
      }
      return folded
    }
  }

  /// As the controller has the hop before it connect to.
  private struct Stop {
    let name: String
    let addresses: [String]
    let port: UInt16

    init(_ host: InventoryHost) {
      (name, addresses, port) = (host.id.description, host.addresses, host.port ?? 22)
    }

    init(_ hop: JumpSpec, _ inventory: HostInventory) {
      let known = hop.inventoryHost.flatMap { inventory.host(named: $0.description) }
      name = known?.id.description ?? hop.host
      addresses = known?.addresses ?? [hop.host]
      port = hop.port ?? known?.port ?? 22
    }

    func prefixes(_ pins: NamePins) -> (prefixes: [AddressPrefix], isNamed: Bool) {
      let numeric = addresses.compactMap { NumericAddress(String($0.prefix { $0 != "%" })) }.map { AddressPrefix($0) }
      return (numeric + addresses.flatMap { pins.addresses(of: $0) ?? [] }, numeric.isEmpty)
    }
  }
}
