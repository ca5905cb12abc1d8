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

  package func text(_ style: TextStyle) -> String {
    var table = TextTable(
      ["HOST", "ADDRESSES", "GROUPS", "ENROLLED"] + (style.wide ? ["PORT", "VIA", "AGENT", "MANAGED FROM"] : []))
    for host in hosts {
      let groups = host.groups.filter { $0 != "all" }
      var row = [
        host.name, host.addresses.joined(separator: ","), groups.isEmpty ? "-" : groups.joined(separator: ","),
        host.enrolled ? "yes" : "no",
      ]
      if style.wide {
        row += [
          String(host.port), host.jump.isEmpty ? "-" : host.jump.joined(separator: ","), host.agentVersion ?? "-",
          host.controllers.isEmpty ? "-" : host.controllers.joined(separator: ","),
        ]
      }
      table.add(row)
    }
    return table.text()
  }
}
