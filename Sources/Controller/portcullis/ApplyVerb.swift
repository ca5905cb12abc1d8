import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Operations
import Rollout
import Store

struct Apply: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Sign a release and bring it to the hosts that do not run it.",
    discussion: """
      Shows the plan and asks; a plan file made by 'plan --out' is the approval itself, and is refused when anything \
      moved since.
      Example: portcullis apply -l web --reason "INC-42: close 8081"
      """)

  @Argument(help: "A plan made by 'plan --out'")
  var plan: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?
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
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let approved = try plan.map { path in
      try PlanFile(decoding: try Files.read(path, atMost: PlanFile.maximumSize), file: path)
    }
    let hosts = try workspace.inventory().hosts(matching: approved?.limit ?? limit ?? "all")
    let store = try workspace.store()
    let planned = try await Planning(workspace).plan(hosts, store: store)
    try approved?.approve(planned.plan)
    let document = PlanDocument(planned.plan)
    if document.toChange > 0, approved == nil { try approve(document) }
    let applied = try await Applying(workspace, limits: contact.value)
      .apply(planned, store: store, reason: approval.reason ?? "-", told: progress)
    try store.close()
    try Terminal.print(ApplyDocument(applied), output)
    if let failure = applied.recordingFailure {
      Terminal.complain(
        Failure(
          "record what came of it", because: failure,
          hint: "the hosts above are as shown; make room and run 'portcullis status --refresh'"))
    }
    return applied.tally.exitCode.rawValue
  }

  /// Asks the person at the terminal; a script must have said yes before.
  private func approve(_ document: PlanDocument) throws {
    if approval.yes { return }
    guard Terminal.isInteractive, !approval.noInput else {
      throw Failure(
        "apply to \(document.toChange) hosts", because: Reason("nobody is here to approve it"),
        hint: "look at 'portcullis plan', then say --yes, or apply a plan file", kind: .refused)
    }
    Terminal.say(document.text(TextStyle(colour: Terminal.colour)))
    // Many hosts take more than a reflex: their number.
    let wanted = document.toChange > 10 ? String(document.toChange) : "yes"
    guard Terminal.ask("Apply? Type \(wanted): ") == wanted else {
      throw Failure("apply", because: Reason("it was not approved"), kind: .refused)
    }
  }

  /// On a terminal, one line that counts.
  private func progress(_ host: Applying.Host) {
    guard isatty(STDERR_FILENO) == 1, output.output == .text else { return }
    Terminal.say("\(host.host): \(ApplyDocument.word(host.result))")
  }
}
