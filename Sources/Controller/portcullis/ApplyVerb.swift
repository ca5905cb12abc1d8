import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Lint
import Operations
import Rollout
import Store

struct Apply: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Sign a release and bring it to the hosts that do not run it.",
    discussion: """
      Shows the plan and asks; a plan file made by 'plan --out' is the approval itself, and is refused when anything \
      moved since. Errors that 'validate' finds stop it before anything is sent (5).
      Example: portcullis apply -l web --reason "INC-42: close 8081"
      """)

  @Argument(help: "A plan made by 'plan --out'")
  var plan: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var grants: GrantOptions
  @Flag(help: "Take withdrawn hosts that --limit names back under the policies")
  var reinstate = false
  @Flag(help: "Ask the hosts first: without it, apply goes by their last reports")
  var refresh = false
  @OptionGroup var mistakes: MistakeOptions
  @Flag(help: "Go on although the policies have errors; wants --reason")
  var despiteErrors = false
  @OptionGroup var contact: ContactOptions
  @OptionGroup var approval: ApprovalOptions
  @OptionGroup var output: OutputOptions

  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func validate() throws {
    if plan != nil, limit != nil {
      throw ValidationError("a plan file says which hosts; --limit cannot say otherwise")
    }
    if plan != nil, refresh {
      throw ValidationError("a plan file is refused when anything moved; make it with 'plan --refresh --out'")
    }
    try grants.requireReason(approval)
    if despiteErrors, approval.reason == nil { throw ValidationError("--despite-errors needs a --reason") }
    if reinstate, limit == nil {
      throw ValidationError("--reinstate wants --limit, so that no host comes back by accident")
    }
  }

  func perform() async throws -> Int32 {
    let granted = try grants.grants()
    let workspace = try open().readingOnce()
    let approved = try plan.map { path in
      try PlanFile(decoding: try Files.read(path, atMost: PlanFile.maximumSize), file: path)
    }
    let hosts = try readInventory(of: workspace).hosts(matching: approved?.limit ?? limit ?? "all")
    let store = try workspace.store()
    let refreshed =
      refresh
      ? try await Observation(workspace: workspace, limits: contact.value).refreshWithTexts(hosts, store: store) : nil
    try await refuseMistakes(of: hosts, workspace, store)
    let planned = try await Planning(workspace).plan(
      hosts, store: store, change: .policies(reinstating: reinstate ? Set(hosts.map(\.id)) : []),
      refreshed: refreshed)
    try approved?.approve(planned.plan)
    return try await Change(
      verb: "apply", approval: approval, output: output, isApproved: approved != nil
    ).carryOut(
      planned, Applying(workspace, limits: contact.value, terms: confirmation.value, grants: granted), store)
  }

  private func refuseMistakes(
    of hosts: [InventoryHost], _ workspace: Workspace, _ store: FleetStore
  ) async throws {
    let validation: Validation
    do {
      validation = try await Validation.run(workspace, strict: mistakes.strict, store: store, trial: Mistakes.trial)
    } catch {
      guard despiteErrors, !Task.isCancelled else { throw error }
      // Of hosts that nothing is sent to: those of the others end the planning.
      Terminal.complain(error)
      return
    }
    // A host that would shut its managers out refuses by itself, unless it was told otherwise.
    let excused: Set<LintRule> =
      despiteErrors ? Set(LintRule.allCases) : grants.overrideLockout ? [.noSSHFromControllers] : []
    try Mistakes.refuseErrors(of: validation, on: hosts, excusing: excused)
  }
}
