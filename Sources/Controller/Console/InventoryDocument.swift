internal import Core
package import Inventory

/// The inventory as `ansible-inventory` prints it: the text is Ansible's own format, for scripts that read that.
package struct InventoryDocument: Document {
  package static let kind = "Inventory"

  /// Of `--list` and `--host`.
  let inventory: InventoryValue?
  /// Of `--graph`, line by line.
  let graph: [String]?
  private let hosts: [String]

  private enum CodingKeys: CodingKey { case inventory, graph }

  /// `--list` of these hosts, with the groups they are in.
  package init(list hosts: [InventoryHost], of inventory: HostInventory) {
    self.inventory = inventory.listing(of: hosts)
    graph = nil
    self.hosts = hosts.map(\.id.description)
  }

  /// `--host`: its variables.
  package init(host: InventoryHost, of inventory: HostInventory) {
    self.inventory = inventory.listing(of: host)
    graph = nil
    hosts = [host.id.description]
  }

  /// `--graph` of a group and what is below it.
  package init(graph group: InventoryGroup, of inventory: HostInventory) {
    self.inventory = nil
    graph = inventory.graph(from: group)
    hosts = group.hostIndices.map { inventory.hosts[$0].id.description }
  }

  package var names: [String] { hosts }
  package var records: [any Encodable] { inventory.map { [$0] } ?? graph ?? [] }
  package var summary: [String: Int] { ["hosts": hosts.count] }

  package func text(_ style: TextStyle) -> String {
    if let inventory { return AnsibleJSON.text(inventory) + "\n" }
    return (graph ?? []).map { SafeText.escape($0) + "\n" }.joined()
  }
}
