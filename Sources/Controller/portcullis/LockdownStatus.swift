import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Operations
import Rollout
import Store

struct LockdownStatus: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Ask hosts which lockdown they are under, and whether that is as ordered.",
    discussion: "Example: portcullis lockdown status -l web --watch")

  @Flag(help: "Ask again every few seconds, and print what is another than before, until Ctrl-C (130)")
  var watch = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  /// Between two looks.
  private static let pause = Duration.seconds(3)

  func validate() throws {
    if watch, ![.text, .wide].contains(output.output) {
      throw ValidationError("--watch prints text; a script asks again itself")
    }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let hosts = try inventory.hosts(matching: target.limit)
    let store = try workspace.existingStore()
    let standing = LockdownStanding(workspace, limits: contact.value)
    var shown = ""
    var hasComplained = false
    while true {
      let looked = try await standing.look(hosts, of: inventory, store: store)
      let document = LockdownStatusDocument(looked)
      try Task.checkCancellation()
      let text = try DocumentPrinter.render(document, as: output.output, colour: Terminal.colour)
      if text != shown, !Terminal.data((shown.isEmpty || !watch ? "" : "\(workspace.clock.now())\n") + text) {
        return 0
      }
      shown = text
      if let failure = looked.recordingFailure, !hasComplained {
        hasComplained = true
        Terminal.complain(
          Failure("record what hosts said", because: failure, hint: "they are as shown; make room in the state folder"))
        if !watch { return ExitCode.error.rawValue }
      }
      guard watch else {
        try store?.close()
        return document.exitCode
      }
      try await Task.sleep(for: Self.pause)
    }
  }
}
