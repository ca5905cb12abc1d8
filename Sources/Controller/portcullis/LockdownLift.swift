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

  @OptionGroup var order: OrderedOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let sending = Broadcast(
      workspace: workspace, inventory: inventory, reach: reach, time: patience.time, output: output)
    if let armed = order.armed {
      let signed = try await sending.armed(Epoch(armed), .unlock, store)
      let hosts = try signed.hosts(of: inventory)
      let whole = try await lifted(signed.terms.scope, signed.epoch, inventory, workspace, store)
      try order.headcount.require("lift", OrderEffect(signed, hosts: hosts.map(\.id)))
      let now = try await lifted(signed.terms.scope, signed.epoch, inventory, workspace, store, told: whole)
      return try await sending.carryOut("lockdown lift", signed, to: now.hosts, store)
    }
    let pattern = order.pattern
    let hosts = try inventory.hosts(matching: pattern)
    let scope = try LockScope(pattern, of: inventory)
    let whole = try await lifted(scope, nil, inventory, workspace, store)
    let draft = OrderDraft(
      .unlock, scope: scope, hosts: hosts.map(\.id),
      arriveWithin: order.arrivesWithin, reason: order.headcount.reason,
      approvals: order.signing.approvals)
    try order.headcount.require("lift", OrderEffect(draft))
    return try await sending.carryOut("lockdown lift", draft, key: order.signing.key, store) { epoch in
      try await lifted(scope, epoch, inventory, workspace, store, told: whole).hosts
    }
  }

  /// Says who is left out and what is void, as far as that was not told: while a line is typed or a key touched another
  /// lockdown may have been sent.
  private func lifted(
    _ scope: LockScope, _ epoch: Epoch?, _ inventory: HostInventory, _ workspace: Workspace, _ store: FleetStore,
    told: LiftReach? = nil
  ) async throws -> LiftReach {
    let now = workspace.clock.now()
    let whole = try await LiftReach.find(scope, epoch: epoch, of: inventory, store, now: now)
    for notice in whole.notices where told?.notices.contains(notice) != true { Terminal.say(notice) }
    if told == nil {
      try await VoidedOrders.notices(store, by: epoch, broughtTo: whole.hosts.map(\.id), now: now)
        .forEach(Terminal.say)
    }
    return whole
  }
}
