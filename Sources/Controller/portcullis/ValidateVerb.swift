import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Policy

struct Validate: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Read configuration, inventory and policies, and compile every host. Talks to nobody.")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let validated = try Validation.run(try open())
    for warning in validated.warnings {
      Terminal.say("warning: \(SafeText.escape(warning.description))")
      if let hint = warning.hint { Terminal.say("hint: \(SafeText.escape(hint))") }
    }
    try Terminal.print(ValidateDocument(validated), output)
    return 0
  }
}
