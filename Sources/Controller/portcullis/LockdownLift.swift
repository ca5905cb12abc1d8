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
      as they are. Not to hosts outside it that a lockdown is still on its way to: they are named.
      Example: portcullis lockdown lift --reason "INC-991 closed"
      """)

  @Option(help: "Bring this armed order instead")
  var armed: UInt64?

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?

  @Option(help: "How long hosts may obey it: 2h (1m to 24h; default: 1h)")
  var arriveWithin: TimeSpan?

  @OptionGroup var headcount: HeadcountOptions
  @OptionGroup var signing: SigningOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if armed != nil, limit != nil || arriveWithin != nil || !signing.isEmpty {
      throw ValidationError("an armed order says for whom, how long and who signs; no flag can say otherwise")
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
      let hosts = try order.hosts(of: inventory)
      let whole = try await LiftReach.find(
        order.terms.scope, epoch: order.epoch, of: inventory, store, now: workspace.clock.now())
      try confirm(OrderEffect(order, hosts: hosts.map(\.id)), whole)
      return try await sending.carryOut("lockdown lift", order, to: whole.hosts, store)
    }
    let pattern = limit ?? TargetOptions.all
    let hosts = try inventory.hosts(matching: pattern)
    let scope = try LockScope(pattern, of: inventory)
    let whole = try await LiftReach.find(scope, of: inventory, store, now: workspace.clock.now())
    let draft = OrderDraft(
      .unlock, scope: scope, hosts: hosts.map(\.id),
      arriveWithin: arriveWithin?.seconds ?? OrderOptions.arriveWithin, reason: headcount.reason,
      approvals: signing.approvals)
    try confirm(OrderEffect(draft), whole)
    return try await sending.carryOut("lockdown lift", draft, key: signing.key, to: whole.hosts, store)
  }

  private func confirm(_ effect: OrderEffect, _ whole: LiftReach) throws {
    for notice in whole.notices { Terminal.say(notice) }
    try headcount.require("lift", effect)
  }
}
