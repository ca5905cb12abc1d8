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
      Exit codes: 0 valid · 1 files cannot be read or compiled · 2 mistakes that are errors, or any with --strict.
      The compiled rules are also loaded into a network namespace of this machine, where it has such.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, ndjson, wide, name, sarif }

  @Flag(help: "Warnings are errors")
  var strict = false

  @Option(name: .shortAndLong, help: "text, json, ndjson, wide, name or sarif")
  var output: Format = .text

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let validated: Validation
    do {
      let store = try workspace.existingStore()
      let sources = try await store?.enrolments().mapValues(\.controllers) ?? [:]
      let reported = try await store?.reportedFacts() ?? [:]
      try store?.close()
      validated = try Validation.run(workspace, strict: strict, sources: sources, reported: reported)
    } catch let mistakes as Diagnostics where output == .sarif {
      var sarif = Sarif(relativeTo: Self.folder)
      sarif.add(mistakes: mistakes.all)
      Terminal.write(sarif.text, to: STDOUT_FILENO)
      return 1
    }
    fleet.sayPassedOver(validated.ignoredVariables)
    for warning in validated.warnings {
      Terminal.say("warning: \(SafeText.escape(warning.description))")
      if let hint = warning.hint { Terminal.say("hint: \(SafeText.escape(hint))") }
    }
    var notLoaded: String?
    switch await ScratchLoad.run(validated.compiled, program: BoundedFile.resolved("/proc/self/exe") ?? "") {
    case .loaded(let problems): if let problems = Diagnostics(problems) { throw problems }
    case .unavailable(let why):
      notLoaded = why
      Terminal.say("note: the rules were not loaded for trial on this machine: \(why)")
    }
    if let format = OutputFormat(rawValue: output.rawValue) {
      var options = OutputOptions()
      options.output = format
      try Terminal.print(ValidateDocument(validated, notLoaded: notLoaded), options)
    } else {
      var sarif = Sarif(relativeTo: Self.folder)
      sarif.add(validated.findings.map(\.lint))
      Terminal.write(sarif.text, to: STDOUT_FILENO)
    }
    return validated.hasErrors ? 2 : 0
  }

  /// Paths in SARIF are relative to where the command runs, as code hosts expect.
  private static var folder: String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }
}
