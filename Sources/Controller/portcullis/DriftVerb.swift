import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct Drift: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Ask the hosts what their kernels hold, and show what differs from what they committed.",
    discussion: "Exits 2 when any host differs. Example: portcullis drift -l db -o json")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var watching: WatchOptions

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = try workspace.store()
    if watching.watch { return try await watchHosts(hosts, of: workspace, store) }
    let found = try await DriftHunt(workspace, limits: contact.value).hunt(hosts, store: store)
    try store.close()
    let document = DriftDocument(found.drifts, statuses: found.statuses)
    try Terminal.print(document, output)
    return document.exitCode
  }
}
