import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Release
import Store

struct LockdownLift: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "lift", abstract: "End the lockdown of hosts: they go on with the release they committed.",
    discussion: """
      Goes to every host of the inventory, so that older orders are void on all of them; those outside the pattern stay \
      as they are.
      Example: portcullis lockdown lift --reason "INC-991 closed"
      """)

  @Option(help: "Bring this armed order instead")
  var armed: UInt64?

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?

  @Option(help: "How long hosts may obey it: 1h (1m to 24h)")
  var arriveWithin: TimeSpan?

  @OptionGroup var headcount: HeadcountOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if armed != nil, limit != nil || arriveWithin != nil {
      throw ValidationError("an armed order says for whom and how long; no flag can say otherwise")
    }
    try OrderOptions.check(arriveWithin: arriveWithin)
    if let reason = headcount.reason { try OrderOptions.check(reason: reason) }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let sending = Broadcast(
      workspace: workspace, inventory: inventory, reach: reach, time: patience.time, output: output)
    if let armed {
      let order = try await sending.armed(Epoch(armed), .unlock, store)
      let meant = inventory.hosts.filter { order.isMeant(for: $0) }.map(\.id)
      try headcount.require("lift", OrderEffect(order, hosts: meant))
      return try await sending.carryOut("lockdown lift", order, to: inventory.hosts, store)
    }
    let pattern = limit ?? TargetOptions.all
    let hosts = try inventory.hosts(matching: pattern)
    let scope = try LockScope(pattern, of: inventory)
    let draft = OrderDraft(
      .unlock, scope: scope, hosts: hosts.map(\.id),
      arriveWithin: arriveWithin?.seconds ?? OrderOptions.arriveWithin, reason: headcount.reason)
    try headcount.require("lift", OrderEffect(draft))
    return try await sending.carryOut("lockdown lift", draft, to: inventory.hosts, store)
  }
}
