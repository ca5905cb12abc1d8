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

  @Option(help: "Bring this armed order instead")
  var armed: UInt64?

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?

  @Option(help: "Each host opens again by itself after so long, of its running time: 2h (1m to 30d; default: never)")
  var liftsAfter: TimeSpan?

  @Option(help: "How long hosts may obey it: 2h (1m to 24h; default: 1h)")
  var arriveWithin: TimeSpan?

  @OptionGroup var headcount: HeadcountOptions
  @OptionGroup var signing: SigningOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if armed == nil { _ = try named }
    if armed != nil, profile != nil { throw ValidationError("an armed order names its profile itself") }
    if armed != nil, limit != nil || liftsAfter != nil || arriveWithin != nil || !signing.isEmpty {
      throw ValidationError("an armed order says for whom, how long and who signs; no flag can say otherwise")
    }
    try OrderOptions.check(liftsAfter: liftsAfter)
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
      let order = try await sending.armed(Epoch(armed), .lockdown, store)
      let hosts = try order.hosts(of: inventory)
      try await VoidedOrders.notices(
        store, by: order.epoch, broughtTo: hosts.map(\.id), now: workspace.clock.now()
      ).forEach(Terminal.say)
      try headcount.require("lockdown", OrderEffect(order, hosts: hosts.map(\.id)))
      return try await sending.carryOut("lockdown start", order, to: hosts, store)
    }
    let pattern = limit ?? TargetOptions.all
    let hosts = try inventory.hosts(matching: pattern)
    let draft = OrderDraft(
      .lockdown(try named, liftsAfter: liftsAfter.map { UInt32($0.seconds) }),
      scope: try LockScope(pattern, of: inventory), hosts: hosts.map(\.id),
      arriveWithin: arriveWithin?.seconds ?? OrderOptions.arriveWithin, reason: headcount.reason,
      approvals: signing.approvals)
    try await VoidedOrders.notices(store, broughtTo: hosts.map(\.id), now: workspace.clock.now())
      .forEach(Terminal.say)
    try headcount.require("lockdown", OrderEffect(draft))
    return try await sending.carryOut("lockdown start", draft, key: signing.key, store) { _ in hosts }
  }

  private var named: ProfileName {
    get throws {
      guard let profile else { throw ValidationError("say a profile, or --armed EPOCH") }
      return profile
    }
  }
}
