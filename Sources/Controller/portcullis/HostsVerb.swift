import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct Hosts: FleetVerb {
  static let configuration = CommandConfiguration(abstract: "The hosts of the inventory, and which are enrolled.")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: InventoryOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides { .init(inventory: source.inventory, state: fleet.state) }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = try workspace.existingStore()
    let enrolments = try await store?.enrolments() ?? [:]
    try store?.close()
    try Terminal.print(HostsDocument(hosts, enrolments: enrolments), output)
    return 0
  }
}
