package import Core
package import Inventory
package import Store

/// The inventory as it was understood.
package struct HostsDocument: Document {
  package static let kind = "Hosts"

  package struct Host: Encodable, Sendable {
    let name: String
    let addresses: [String]
    let port: Int
    let groups: [String]
    let jump: [String]
    let enrolled: Bool
    let agentVersion: String?
    let architecture: String?
    let controllers: [String]
  }

  let hosts: [Host]

  package init(_ hosts: [InventoryHost], enrolments: [HostID: Enrolment]) {
    self.hosts = hosts.map { host in
      let enrolment = enrolments[host.id]
      return Host(
        name: host.id.description, addresses: host.addresses, port: Int(host.port ?? 22), groups: host.groups,
        jump: host.jump.map(\.description), enrolled: enrolment != nil, agentVersion: enrolment?.agentVersion,
        architecture: enrolment?.architecture, controllers: enrolment?.controllers ?? [])
    }
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] { ["hosts": hosts.count, "enrolled": hosts.filter(\.enrolled).count] }

  /// Folded over hosts of the same groups; wide has a line for each, with the ways to it.
  package func text(_ style: TextStyle) -> String { style.wide ? wideText() : foldedText() }

  private func foldedText() -> String {
    struct Key: Hashable {
      let groups: [String]
      let enrolled: Bool
    }
    var order: [Key] = []
    var rows: [Key: [Host]] = [:]
    for host in hosts {
      let key = Key(groups: host.groups, enrolled: host.enrolled)
      if rows[key] == nil { order.append(key) }
      rows[key, default: []].append(host)
    }
    var table = TextTable(["HOSTS", "COUNT", "ADDRESSES", "GROUPS", "ENROLLED"])
    for key in order {
      let members = rows[key] ?? []
      table.add([
        Folding.fold(members.map(\.name)), String(members.count),
        members.count == 1 ? members[0].addresses.joined(separator: ",") : "-", Self.shown(key.groups),
        key.enrolled ? "yes" : "no",
      ])
    }
    return table.text()
  }

  private func wideText() -> String {
    var table = TextTable(["HOST", "ADDRESSES", "GROUPS", "ENROLLED", "PORT", "VIA", "AGENT", "MANAGED FROM"])
    for host in hosts {
      table.add([
        host.name, host.addresses.joined(separator: ","), Self.shown(host.groups), host.enrolled ? "yes" : "no",
        String(host.port), host.jump.isEmpty ? "-" : host.jump.joined(separator: ","), host.agentVersion ?? "-",
        host.controllers.isEmpty ? "-" : host.controllers.joined(separator: ","),
      ])
    }
    return table.text()
  }

  private static func shown(_ groups: [String]) -> String {
    let named = groups.filter { $0 != "all" }
    return named.isEmpty ? "-" : named.joined(separator: ",")
  }
}
