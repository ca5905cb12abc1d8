import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Operations
import Rollout
import Store

struct Plan: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "What apply would change and why; writes nothing anywhere.",
    discussion: """
      Tells mistakes first, as 'validate' does; an error among them, which apply would refuse, makes the exit code 2.
      Example: portcullis plan -l web --out web.plan && portcullis apply web.plan
      """)

  @Option(help: "Write the plan to this file: 'apply FILE' then needs no other approval")
  var out: String?

  @Flag(help: "Exit with 2 when something would change")
  var detailedExitcode = false

  @Flag(help: "Ask the hosts first, and remember their answers")
  var refresh = false

  @OptionGroup var mistakes: MistakeOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { refresh }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let workspace = try open().readingOnce()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = refresh ? try workspace.store() : try workspace.existingStore()
    let refreshed = try await refreshed(hosts, workspace, store)
    // Beside each other: the kernel makes the trial wait.
    async let validating = Validation.run(workspace, strict: mistakes.strict, store: store, trial: Mistakes.trial)
    async let planning = Planning(workspace).planWithOutlook(hosts, store: store, refreshed: refreshed)
    let validation = try await validating
    Mistakes.say(validation)
    Mistakes.sayBeyond(hosts, validation)
    let errors = Mistakes.errors(of: hosts, validation).count
    let planned = try await planning
    try store?.close()
    if let out {
      let file = PlanFile(planned.plan, limit: target.limit, created: workspace.clock.now())
      try Files.write(try file.encode(), to: out)
    }
    let document = PlanDocument(planned)
    try Terminal.print(document, output)
    if let out, output.output == .text, errors == 0 {
      Terminal.say("written to \(out); next: portcullis apply \(out)")
    }
    if errors > 0 {
      Terminal.say("error: apply will refuse this: \(FindingsText.counted(errors: errors, warnings: 0)) above")
    }
    return document.exitCode(errors: errors, tellsChanges: detailedExitcode)
  }

  private func refreshed(
    _ hosts: [InventoryHost], _ workspace: Workspace, _ store: FleetStore?
  ) async throws -> Observation.Refreshed? {
    guard refresh, let store else { return nil }
    return try await Observation(workspace: workspace, limits: contact.value).refreshWithTexts(hosts, store: store)
  }
}
