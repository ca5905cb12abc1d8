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
      order.
      Example: portcullis lockdown resume
      """)

  @Argument(help: "The order (default: the last one that was sent, drills aside)")
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
      let resumed = try await ResumedOrder.find(epoch.map { Epoch($0) }, all: all, inventory, store)
    else {
      throw Failure(
        "resume an order", because: Reason("none was sent"), hint: "portcullis lockdown start PROFILE", kind: .usage)
    }
    if !resumed.gone.isEmpty {
      Terminal.say("not in the inventory any more: \(Folding.fold(resumed.gone.map(\.description)))")
    }
    guard !resumed.hosts.isEmpty else {
      Terminal.say("order \(resumed.order.epoch): every host obeyed; --all asks them again")
      return 0
    }
    return try await Broadcast(
      workspace: workspace, inventory: inventory, reach: reach, time: patience.time, output: output
    ).carryOut(
      "lockdown resume", resumed.order, to: resumed.hosts, earlier: resumed.earlier, store)
  }
}
