import ArgumentParser
import Audit
import Console
import Core
import Inventory
import Operations
import Store

struct Status: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "How the fleet is, by the hosts' last reports and their age.",
    discussion: "Example: portcullis status --refresh -l web")

  @Flag(help: "Ask the hosts first")
  var refresh = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let observation = Observation(workspace: workspace, limits: contact.value)
    let store = refresh ? try workspace.store() : try workspace.existingStore()
    if refresh, let store { try await observation.refresh(hosts, store: store) }
    let statuses = try await observation.statuses(hosts, store: store)
    try store?.close()
    try Terminal.print(StatusDocument(statuses), output)
    guard refresh else { return 0 }
    return statuses.contains { $0.contact == .unreachable } ? 4 : 0
  }
}
