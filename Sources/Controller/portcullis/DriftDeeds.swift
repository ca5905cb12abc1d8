import ArgumentParser
import Audit
import Console
import Core
import Inventory
import Operations
import Policy
import Store

/// What to do about drift.
struct DriftVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drift",
    abstract: "What the hosts' kernels hold that they did not commit, and what to do about it.",
    subcommands: [
      Drift.self, DriftShow.self, DriftWaive.self, DriftWaivers.self, DriftRepairVerb.self, DriftAdopt.self,
    ],
    defaultSubcommand: Drift.self)
}

struct DriftShow: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Ask one host, and show all that differs there, with the rules around it.",
    discussion: "Exits 2 when it differs. Example: portcullis drift show db1")

  @Argument(help: "A host of the inventory")
  var host: String

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    guard let named = inventory.host(named: host) else {
      throw Failure(
        "look at \(SafeText.escape(host))", because: Reason("the inventory has no such host"),
        hint: NearestName.to(host, among: inventory.hosts.map(\.id.description)).map { "did you mean '\($0)'?" },
        kind: .usage)
    }
    let store = try workspace.store()
    let found = try await DriftHunt(workspace, limits: contact.value).hunt([named], store: store)
    try store.close()
    let document = DriftDocument(found.drifts, statuses: found.statuses, tellsChanges: true)
    try Terminal.print(document, output)
    return document.exitCode
  }
}

struct DriftWaive: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "waive", abstract: "Mark what differs now on these hosts as known, until a day is over.",
    discussion: """
      Exactly this difference: any other change of the same host is drift again. --end takes the mark away.
      Example: portcullis drift waive -l db1 --until 2027-01-31 --reason "INC-42: vendor's debug port"
      """)

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String

  @Option(help: "The last day it is waived on, in UTC: 2027-01-31")
  var until: String?

  @Option(help: "Why, for the record: printable ASCII, at most 512 characters")
  var reason: String?

  @Flag(help: "What was waived on these hosts is drift again")
  var end = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if end {
      guard until == nil else { throw ValidationError("--end takes no --until") }
    } else {
      guard let until, LastDay(until) != nil else { throw ValidationError("--until takes a day: 2027-01-31") }
      guard let reason, !reason.isEmpty else { throw ValidationError("a waiver needs a --reason") }
    }
    guard let reason else { return }
    guard reason.utf8.count <= 512, reason.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
      throw ValidationError("--reason takes printable ASCII, at most 512 characters")
    }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: limit)
    let store = try workspace.store()
    if end { return try await end(hosts, workspace, store) }
    guard let day = until.flatMap({ LastDay($0) }), let reason else { throw ExitCode.validationFailure }
    let found = try await Waiving(workspace, limits: contact.value)
      .find(hosts, until: day, reason: reason, store: store)
    let document = WaiveDocument(found, now: workspace.clock.now())
    guard !found.waivers.isEmpty else {
      try store.close()
      try Terminal.print(document, output)
      return document.exitCode
    }
    return try await workspace.audited(Waiving.verb, hosts: found.waivers.map(\.host), reason: reason) {
      try await store.save(waivers: found.waivers)
      try store.close()
      try Terminal.print(document, output)
      return ActionEnd(exitCode: document.exitCode)
    }
  }

  private func end(_ hosts: [InventoryHost], _ workspace: Workspace, _ store: FleetStore) async throws -> Int32 {
    let chosen = Set(hosts.map(\.id))
    let waived = try await store.waivers().map(\.host).filter(chosen.contains)
    guard !waived.isEmpty else {
      try store.close()
      try Terminal.print(WaiversDocument([], now: workspace.clock.now(), ended: true), output)
      return 0
    }
    return try await workspace.audited(Waiving.end, hosts: waived, reason: reason) {
      let ended = try await store.endWaivers(of: waived)
      try store.close()
      try Terminal.print(WaiversDocument(ended, now: workspace.clock.now(), ended: true), output)
      return ActionEnd(exitCode: 0)
    }
  }
}

struct DriftWaivers: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "waivers", abstract: "Which differences are waived, on which hosts, by whom and until when.")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let store = try workspace.existingStore()
    let waivers = try await store?.waivers() ?? []
    try store?.close()
    try Terminal.print(WaiversDocument(waivers, now: workspace.clock.now()), output)
    return 0
  }
}
