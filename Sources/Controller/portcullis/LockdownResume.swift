import ArgumentParser
import Core
import Inventory
import Operations
import Store

struct LockdownResume: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on with an order that did not reach all its hosts.",
    discussion: """
      Brings the same bytes, so that a host which obeyed before only says so. Who did not hear it in time needs a fresh \
      order. Not to hosts that a later order is for.
      Example: portcullis lockdown resume 7
      """)

  @Argument(help: "The order (default: the one that is not finished; drills aside)")
  var epoch: UInt64?

  @Flag(help: "Ask those again that obeyed: they read back what they hold, and mend it")
  var all = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var patience: PatienceOptions
  @OptionGroup var reach: ReachOptions
  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    guard let store = try workspace.existingStore(),
      let resumed = try await ResumedOrder.find(
        epoch.map { Epoch($0) }, all: all, inventory, store, now: workspace.clock.now())
    else {
      throw Failure(
        "resume an order", because: Reason("none was sent"), hint: "portcullis lockdown start PROFILE", kind: .usage)
    }
    for notice in resumed.notices { Terminal.say(notice) }
    guard !resumed.hosts.isEmpty else {
      Terminal.say("order \(resumed.order.epoch): every host obeyed when asked; --all asks them again")
      return 0
    }
    return try await Broadcast(
      workspace: workspace, inventory: inventory, reach: reach, time: patience.time, output: output
    ).carryOut(
      "lockdown resume", resumed.order, to: resumed.hosts, earlier: resumed.earlier, store)
  }
}
