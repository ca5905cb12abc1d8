import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Release
import Store

struct LockdownStart: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Lock hosts with a profile that they have staged, and show who obeyed.",
    discussion: """
      Signs an order and brings it, or brings one that was armed before. Hosts that do not answer are tried again; \
      Ctrl-C loses nothing, 'lockdown resume' goes on.
      Example: portcullis lockdown start isolate -l 'web:&prod' --lifts-after 2h
      """)

  @Argument(help: "A lockdown profile: isolate")
  var profile: ProfileName?

  @OptionGroup var order: OrderedOptions

  @Option(help: "Each host opens again by itself after so long, of its running time: 2h (1m to 30d; default: never)")
  var liftsAfter: TimeSpan?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if order.armed == nil { _ = try named }
    if order.armed != nil, profile != nil { throw ValidationError("an armed order names its profile itself") }
    if order.armed != nil, liftsAfter != nil { throw OrderedOptions.saysItself }
    try OrderOptions.check(liftsAfter: liftsAfter)
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let sending = Broadcast(
      workspace: workspace, inventory: inventory, reach: reach, time: patience.time, output: output)
    if let armed = order.armed {
      let signed = try await sending.armed(Epoch(armed), .lockdown, store)
      let hosts = try signed.hosts(of: inventory)
      try await VoidedOrders.notices(
        store, by: signed.epoch, broughtTo: hosts.map(\.id), now: workspace.clock.now()
      ).forEach(Terminal.say)
      try order.headcount.require("lockdown", OrderEffect(signed, hosts: hosts.map(\.id)))
      return try await sending.carryOut("lockdown start", signed, to: hosts, store)
    }
    let pattern = order.pattern
    let hosts = try inventory.hosts(matching: pattern)
    let draft = OrderDraft(
      .lockdown(try named, liftsAfter: liftsAfter.map { UInt32($0.seconds) }),
      scope: try LockScope(pattern, of: inventory), hosts: hosts.map(\.id),
      arriveWithin: order.arrivesWithin, reason: order.headcount.reason,
      approvals: order.signing.approvals)
    try await VoidedOrders.notices(store, broughtTo: hosts.map(\.id), now: workspace.clock.now())
      .forEach(Terminal.say)
    try order.headcount.require("lockdown", OrderEffect(draft))
    return try await sending.carryOut("lockdown start", draft, key: order.signing.key, store) { _ in hosts }
  }

  private var named: ProfileName {
    get throws {
      guard let profile else { throw ValidationError("say a profile, or --armed EPOCH") }
      return profile
    }
  }
}
