import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

/// `drift --watch`.
struct WatchOptions: ParsableArguments {
  @Flag(help: "Hold a connection to each host, and print what changes as it happens, until Ctrl-C (130)")
  var watch = false

  @Option(name: .customLong("for"), help: "With --watch: end after 90s, 10m or 2h, and exit 2 if a host differs then")
  var time: WatchTime?

  mutating func validate() throws {
    guard watch || time == nil else { throw ValidationError("--for is for --watch") }
  }
}

struct WatchTime: ExpressibleByArgument {
  let duration: Duration

  init?(argument: String) {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600]
    guard let unit = argument.last.flatMap({ units[$0] }), let count = Int64(argument.dropLast()),
      argument.first?.isNumber == true, (1...86_400 * 7).contains(count)
    else { return nil }
    duration = .seconds(count * unit)
  }
}

extension Drift {
  func watchHosts(_ hosts: [InventoryHost], of workspace: Workspace, _ store: FleetStore) async throws -> Int32 {
    guard [.text, .wide, .ndjson].contains(output.output) else {
      throw Failure(
        "watch for drift", because: Reason("what has no end is printed as text or ndjson, not as \(output.output)"),
        hint: "-o ndjson", kind: .usage)
    }
    var printer = ChangePrinter(output.output, colour: Terminal.colour)
    Terminal.data(try printer.head)
    let ended = try await DriftWatch(workspace, limits: contact.value).watch(
      hosts, store: store, for: watching.time?.duration
    ) { groups in
      for group in groups where !Terminal.data(try printer.lines(group)) { return false }
      return true
    }
    if !ended.strangers.isEmpty {
      Terminal.say(
        "not watched, since this controller has not enrolled them: \(Folding.fold(ended.strangers.map(\.description)))")
    }
    try store.close()
    Terminal.data(
      try printer.end(differing: ended.differing.count, lost: ended.lost.count, watched: ended.watched.count))
    return !ended.lost.isEmpty || !ended.strangers.isEmpty ? 4 : ended.differing.isEmpty ? 0 : 2
  }
}
