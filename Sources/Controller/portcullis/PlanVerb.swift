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
    discussion: "Example: portcullis plan -l web --out web.plan && portcullis apply web.plan")

  @Option(help: "Write the plan to this file: 'apply FILE' then needs no other approval")
  var out: String?

  @Flag(help: "Exit with 2 when something would change")
  var detailedExitcode = false

  @Flag(help: "Ask the hosts first, and remember their answers")
  var refresh = false

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
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = refresh ? try workspace.store() : try workspace.existingStore()
    var differences: [HostID: PerFamily<Sweep.Sides?>] = [:]
    if refresh, let store {
      differences = try await Observation(workspace: workspace, limits: contact.value)
        .refreshWithTexts(hosts, store: store)
    }
    let enrolments = try await store?.enrolments() ?? [:]
    let reported = try await store?.reportedFacts() ?? [:]
    let mistakes = try FindingsText.lines(
      Validation.run(
        workspace, only: Set(enrolments.keys), sources: enrolments.mapValues(\.controllers), reported: reported))
    if !mistakes.isEmpty { Terminal.write(mistakes + "\n", to: STDERR_FILENO) }
    let planned = try await Planning(workspace).planWithOutlook(hosts, store: store, differences: differences)
    try store?.close()
    if let out {
      let file = PlanFile(planned.plan, limit: target.limit, created: workspace.clock.now())
      try Files.write(try file.encode(), to: out)
    }
    let document = PlanDocument(planned)
    try Terminal.print(document, output)
    if let out, output.output == .text { Terminal.say("written to \(out); next: portcullis apply \(out)") }
    return detailedExitcode && document.toChange > 0 ? 2 : 0
  }
}
