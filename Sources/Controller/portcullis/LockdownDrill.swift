import ArgumentParser
import Core
import Inventory
import Operations
import Release
import Store

struct LockdownDrill: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "drill", abstract: "The whole way of a lockdown without its effect: who would obey, and how fast.",
    discussion: """
      A signed order that says that it is a drill: hosts verify it and rehearse the profile beside their own network, and \
      change nothing. Warnings tell what a real one would.
      Example: portcullis lockdown drill isolate
      """)

  @Argument(help: "A lockdown profile: isolate")
  var profile: ProfileName?

  @Option(help: "Bring this armed drill instead, which others have signed")
  var armed: UInt64?

  @Option(help: "Why, for the record, part of what is signed: printable ASCII, at most 512 characters")
  var reason: String?

  /// Nobody waits half an hour for a drill.
  @Option(name: .customLong("for"), help: "Try hosts that do not answer again for so long: 10s or 5m")
  var time = TimeSpan(argument: "10s")!

  @OptionGroup var signing: SigningOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (profile == nil) != (armed == nil) else { throw ValidationError("say a profile, or --armed EPOCH") }
    if armed != nil, !signing.isEmpty {
      throw ValidationError("an armed drill says who signs; no flag can say otherwise")
    }
    if let reason { try OrderOptions.check(reason: reason) }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let sending = Broadcast(workspace: workspace, inventory: inventory, reach: reach, time: time, output: output)
    guard let profile else {
      let order = try await sending.armed(Epoch(armed ?? 0), .drill, store)
      return try await sending.carryOut("lockdown drill", order, to: try order.hosts(of: inventory), store)
    }
    let hosts = try inventory.hosts(matching: target.limit)
    let draft = OrderDraft(
      .drill(profile), scope: try LockScope(target.limit, of: inventory), hosts: hosts.map(\.id),
      arriveWithin: OrderOptions.arriveWithin, reason: reason, approvals: signing.approvals)
    return try await sending.carryOut("lockdown drill", draft, key: signing.key, store) { _ in hosts }
  }
}
