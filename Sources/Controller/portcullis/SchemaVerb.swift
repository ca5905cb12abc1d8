import ArgumentParser
import Core
import Policy

extension FileSchema: ExpressibleByArgument {}

struct SchemaVerb: Verb {
  static let configuration = CommandConfiguration(
    commandName: "schema",
    abstract:
      "A JSON Schema (draft-07) of policies, what they share, lockdown profiles, inventories or portcullis.yaml, for editors.",
    discussion: "Example: portcullis schema policy > schemas/policy.json")

  @Argument(help: "policy, common, lockdown, inventory or config")
  var file: FileSchema

  func perform() async throws -> Int32 {
    Terminal.write(file.text, to: 1)
    return 0
  }
}
