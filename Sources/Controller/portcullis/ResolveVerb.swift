import ArgumentParser
import Console
import Core
import Operations
import Policy

struct Resolve: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Look up the DNS names in policies, and pin their addresses in policies/dns.lock.",
    discussion: """
      Rules hold addresses, so a name means what it meant when it was pinned. plan says when a name has moved; review the \
      changed dns.lock like any other file.
      """)

  @Flag(help: "Write nothing; exit with 2 when a name has moved or is not pinned")
  var check = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var source: SourceOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }
  var overrides: Workspace.Overrides {
    .init(inventory: source.inventory, policies: source.policies, state: fleet.state)
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let policies = try workspace.policies()
    let resolution = await NameResolution.ask(policies, try readInventory(of: workspace))
    let writes = !check && !resolution.names.isEmpty
    if writes { try Files.write(resolution.newPins().encode(), to: policies.lockPath) }
    try Terminal.print(ResolveDocument(resolution, lock: policies.lockPath, written: writes), output)
    if resolution.names.contains(where: { $0.problem != nil }) { return check ? 2 : 1 }
    return check && resolution.names.contains { $0.hasMoved } ? 2 : 0
  }
}
