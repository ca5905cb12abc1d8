import ArgumentParser
import Audit
import Console
import Core
import Inventory
import Operations
import Store

struct EventsVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "What happened to the hosts, and whether we did it; folded.",
    discussion: """
      As this controller learnt it, when it asked: 'status --refresh', 'drift' and 'apply' do. Times are its own.
      Example: portcullis events --since 2h -l web
      """)

  @Option(help: "From then on: 90s, 15m, 2h, 7d ago, a day (2026-11-21) or a time (2026-11-21T14:00:00Z), in UTC")
  var since: String = "24h"

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let moment = try Since.parse(since, now: workspace.clock.now())
    // What happened to hosts that have left the inventory is of the fleet too.
    let chosen =
      target.limit == "all" ? nil : Set(try readInventory(of: workspace).hosts(matching: target.limit).map(\.id))
    let store = try workspace.existingStore()
    let events = try await store?.events(of: chosen, since: moment) ?? (told: [], leftOut: 0)
    try store?.close()
    try Terminal.print(EventsDocument(events.told, since: moment, leftOut: events.leftOut), output)
    return 0
  }
}

struct HistoryVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "What happened to one host, why, and by whose hand.",
    discussion: "Example: portcullis history web01 --since 30d")

  @Argument(help: "A host")
  var host: String

  @Option(help: "As for 'events' (default: all that is kept)")
  var since: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let moment = try since.map { try Since.parse($0, now: workspace.clock.now()) }
    guard let id = HostID(host) else {
      throw Failure(
        "tell the history of \(SafeText.escape(host))", because: Reason("that is no host name"), kind: .usage)
    }
    let store = try workspace.existingStore()
    let history = try await HostHistory.read(id, since: moment, store: store)
    try store?.close()
    if history.entries.isEmpty, try workspace.inventory().host(named: host) == nil {
      throw Failure(
        "tell the history of \(id)", because: Reason("nothing is known of it, and it is not in the inventory"),
        kind: .usage)
    }
    try Terminal.print(HistoryDocument(id, history.entries, leftOut: history.leftOut), output)
    return 0
  }
}
