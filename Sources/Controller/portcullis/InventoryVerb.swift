import ArgumentParser
import Console
import Core
import Inventory
import Operations

struct InventoryVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "inventory", abstract: "The inventory with all variables, as ansible-inventory prints it.",
    discussion: "What is read, and where it differs from Ansible: docs/inventory.md")

  @Flag(help: "All groups, hosts and variables as JSON")
  var list = false

  @Flag(help: "The groups as a tree, from 'all' or from GROUP")
  var graph = false

  @Option(help: "The variables of one host as JSON")
  var host: String?

  @Argument(help: "With --graph: the group to begin with")
  var group: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: InventoryOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides { .init(inventory: source.inventory, state: fleet.state) }

  mutating func validate() throws {
    guard [list, graph, host != nil].filter({ $0 }).count == 1 else {
      throw ValidationError("one of --list, --graph and --host HOST is needed")
    }
    guard group == nil || graph else { throw ValidationError("a group goes with --graph only") }
  }

  func perform() async throws -> Int32 {
    let inventory = try readInventory(of: open())
    say(inventory)
    try Terminal.print(try document(of: inventory), output)
    return 0
  }

  private func document(of inventory: HostInventory) throws -> InventoryDocument {
    if let host {
      guard let known = inventory.host(named: host) else {
        throw Failure(
          "show host \(quoted(host))", because: Reason("it is not in the inventory"),
          hint: nearestHint(host, among: inventory.hosts.lazy.map(\.id.description)), kind: .usage)
      }
      return InventoryDocument(host: known, of: inventory)
    }
    if list {
      // An inventory without hosts is listed as ansible-inventory does; a limit that names none is still a mistake.
      let isWhole = target.limit == TargetOptions.all
      return InventoryDocument(
        list: isWhole ? inventory.hosts : try inventory.hosts(matching: target.limit), of: inventory)
    }
    guard let top = inventory.group(named: group ?? "all") else {
      throw Failure(
        "show group \(quoted(group ?? "all"))", because: Reason("it is not in the inventory"),
        hint: nearestHint(group ?? "", among: inventory.groups.lazy.map(\.name)), kind: .usage)
    }
    return InventoryDocument(graph: top, of: inventory)
  }

  private func say(_ inventory: HostInventory) {
    for warning in inventory.warnings {
      Terminal.say("warning: \(SafeText.escape(warning.description))")
      if let hint = warning.hint { Terminal.say("hint: \(SafeText.escape(hint))") }
    }
  }
}
