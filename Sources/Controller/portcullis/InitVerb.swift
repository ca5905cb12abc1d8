import ArgumentParser
import Console
import Core
import Operations

struct Init: Verb {
  static let configuration = CommandConfiguration(
    abstract: "Start a fleet: configuration, an inventory to fill in, and example policies.",
    discussion: "Example: portcullis init fleet --fleet example && cd fleet && portcullis keys init")

  @Argument(help: "The folder to make it in; refused if any of the files exists")
  var folder: String = "."

  @Option(name: .customLong("fleet"), help: "The fleet's name: 1–63 letters, digits, '.', '_' or '-'")
  var fleetName: String

  @Option(help: "Folder of policies to copy (default: the examples that come with portcullis)")
  var policies: String?

  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    guard let fleet = FleetID(fleetName) else {
      throw Failure(
        "start a fleet named \(SafeText.escape(fleetName))",
        because: Reason("a fleet's name is 1–63 letters, digits, '.', '_' or '-'"), kind: .usage)
    }
    let made = try FleetFiles(folder: folder, fleet: fleet).make(
      policies: try policies ?? LabPolicies.ofThisCheckout(), only: policies == nil ? FleetFiles.starters : nil)
    try Terminal.print(ActionDocument("init", folder, files: made, sentence: ""), output)
    Terminal.say("next: fill in \(folder)/inventory/hosts.yaml, then 'portcullis keys init' and 'portcullis validate'")
    return 0
  }
}
