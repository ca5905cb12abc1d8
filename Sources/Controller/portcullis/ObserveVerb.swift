import ArgumentParser
import Audit
import Console
import Core
import Inventory
import Operations
import Store

struct Observe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What policies with observe: true would have dropped.", subcommands: [Show.self])

  struct Show: FleetVerb {
    static let configuration = CommandConfiguration(
      abstract: "From where, to which port, how often, and on how many hosts; the most packets first.",
      discussion: """
        Such a policy lets in what it does not accept, and the kernel of each host counts it by source, protocol and port. \
        Watch it for a week, accept what is missing, then remove observe: true.
        """)

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var source: InventoryOptions
    @OptionGroup var target: TargetOptions
    @OptionGroup var contact: ContactOptions
    @OptionGroup var output: OutputOptions

    var overrides: Workspace.Overrides { .init(inventory: source.inventory, state: fleet.state) }

    func perform() async throws -> Int32 {
      let workspace = try open()
      let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
      guard let store = try workspace.existingStore() else { throw Observing.noneEnrolled }
      let observed = try await Observing(workspace, limits: contact.value).ask(hosts, store: store)
      try store.close()
      try Terminal.print(ObserveDocument(observed), output)
      return observed.unreachable.isEmpty ? 0 : 4
    }
  }
}
