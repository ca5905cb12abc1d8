import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct DoctorVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "What will hurt later, at this controller and by the hosts' last reports, and what to do about it.",
    discussion: "Exits 2 when it finds anything. Example: portcullis doctor -l web")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = try workspace.existingStore()
    let found = try await Doctor(workspace).examine(hosts, store: store)
    try store?.close()
    let document = DoctorDocument(found)
    try Terminal.print(document, output)
    return document.exitCode
  }
}
