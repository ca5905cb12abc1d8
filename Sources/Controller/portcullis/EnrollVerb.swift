import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct Enroll: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Install or upgrade the agent over an administrator's SSH login.",
    discussion: """
      Logs in as ansible_user (root, or a user who may 'sudo -n'), uploads the agent where it is missing, installs trust \
      and the unprivileged login, and reads a first report back over that login.
      Example: portcullis enroll web01 'db*'
      """)

  @Argument(help: "Hosts and groups, as --limit takes them")
  var hosts: [String]

  @Flag(help: "Take agent, units, login and trust away again; needs --rules")
  var remove = false

  @Option(help: "With --remove: keep our rules in the kernel, or load what was found at enrolment (generation-0)")
  var rules: Enroller.RemovedRules?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: InventoryOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  var overrides: Workspace.Overrides { .init(inventory: source.inventory, state: fleet.state) }

  func validate() throws {
    if remove, rules == nil {
      throw ValidationError(
        "--remove needs --rules keep or --rules generation-0: what becomes of our rules is yours to say")
    }
    if !remove, rules != nil { throw ValidationError("--rules goes with --remove") }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let chosen = try readInventory(of: workspace).hosts(named: hosts.joined(separator: ","))
    let store = try workspace.store()
    let enrolling = Enrolling(workspace, limits: contact.value)
    let verb = rules.map { "enroll --remove --rules \($0.rawValue)" } ?? "enroll"
    return try await workspace.audited(verb, hosts: chosen.map(\.id), reason: nil) {
      let results =
        if let rules {
          try await enrolling.remove(chosen, rules: rules, store: store)
        } else {
          try await enrolling.enroll(chosen, store: store)
        }
      try store.close()
      let document = EnrollDocument(results)
      try Terminal.print(document, output)
      return ActionEnd(exitCode: document.exitCode)
    }
  }
}

extension Enroller.RemovedRules: ExpressibleByArgument {}
