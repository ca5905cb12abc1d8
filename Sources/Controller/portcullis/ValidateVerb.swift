import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Lint
import Operations
import Policy
import Store

struct Validate: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Read configuration, inventory and policies, compile every host, and tell mistakes. Talks to nobody.",
    discussion: """
      Exit codes: 0 valid · 1 files cannot be read or compiled, or rules do not load · 2 other mistakes that are \
      errors, or any with --strict. The compiled rules are also loaded into a network namespace of this machine, where it \
      has such.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, ndjson, wide, name, sarif }

  @Option(name: .shortAndLong, help: "text, json, ndjson, wide, name or sarif")
  var output: Format = .text

  @OptionGroup var mistakes: MistakeOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let validated: Validation
    do {
      let workspace = try open()
      let store = try workspace.existingStore()
      validated = try await Validation.run(workspace, strict: mistakes.strict, store: store, trial: Mistakes.trial)
      try store?.close()
    } catch {
      if output != .text, output != .wide, !Interruption.happened {
        let found = ValidateDocument.mistakes(of: error, in: fleet.config ?? Configuration.fileName)
        try print(ValidateDocument(invalidFiles: found), found)
      }
      throw error
    }
    fleet.sayPassedOver(validated.ignoredVariables)
    Mistakes.sayNotes(validated)
    try print(ValidateDocument(validated), validated.findings.map(\.lint))
    return validated.doesNotLoad ? 1 : validated.errors > 0 ? 2 : 0
  }

  private func print(_ document: ValidateDocument, _ findings: [LintFinding]) throws {
    if let format = OutputFormat(rawValue: output.rawValue) {
      var options = OutputOptions()
      options.output = format
      return try Terminal.print(document, options)
    }
    var sarif = Sarif(relativeTo: Self.folder)
    sarif.add(findings)
    Terminal.write(sarif.text, to: STDOUT_FILENO)
  }

  /// Paths in SARIF are relative to where the command runs, as code hosts expect.
  private static var folder: String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }
}
