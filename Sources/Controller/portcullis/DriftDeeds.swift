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
      Exactly this difference: any other change of the same host is drift again. Shows it and asks. --end takes the mark \
      away, also of a host that has left the inventory.
      Example: portcullis drift waive -l db1 --until 2027-01-31 --reason "INC-42: vendor's debug port"
      """)

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String

  @Option(help: "The last day it is waived on, in UTC: 2027-01-31")
  var until: String?

  @Flag(help: "Also where these hosts differ in several ways: each difference on its own hosts")
  var each = false

  @Flag(help: "What was waived on these hosts is drift again")
  var end = false

  @OptionGroup var approval: ApprovalOptions

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    let reason = approval.reason
    if end {
      guard until == nil, !each else { throw ValidationError("--end takes neither --until nor --each") }
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
    if end { return try await end(workspace) }
    let hosts = try readInventory(of: workspace).hosts(matching: limit)
    let store = try workspace.store()
    guard let day = until.flatMap({ LastDay($0) }), let reason = approval.reason else {
      throw ExitCode.validationFailure
    }
    let found = try await Waiving(workspace, limits: contact.value)
      .find(hosts, until: day, reason: reason, store: store)
    let document = WaiveDocument(found, now: workspace.clock.now())
    guard !found.waivers.isEmpty else {
      try store.close()
      try Terminal.print(document, output)
      return document.exitCode
    }
    try approve(found)
    return try await workspace.audited(Waiving.verb, hosts: found.waivers.map(\.host), reason: reason) {
      try await store.save(waivers: found.waivers)
      try store.close()
      try Terminal.print(document, output)
      return ActionEnd(exitCode: document.exitCode)
    }
  }

  /// Nobody answers for what nobody looked at, nor for several things with one reason unseen.
  private func approve(_ found: Waiving.Waived) throws {
    let groups = found.groups
    guard groups.count == 1 || each else {
      let named = groups.map { Folding.fold($0.hosts.map(\.description)) }.joined(separator: "; ")
      throw Failure(
        "waive what differs", because: Reason("these hosts differ in \(groups.count) ways: \(named)"),
        hint: "waive one at a time: -l names its hosts; --each waives every one of them", kind: .usage)
    }
    try approval.require(
      "waive", what: "waive what differs on", hosts: found.waivers.count,
      hint: "look at 'portcullis drift', then say --yes",
      showing: DriftDocument(found.drifts, statuses: found.statuses))
  }

  private func end(_ workspace: Workspace) async throws -> Int32 {
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let all = try await store.waivers().map(\.host)
    // Whose host has left the inventory can still take the word back.
    let gone = all.filter { inventory.host(named: $0.description) == nil }
    var chosen = Set(gone.filter { limit == $0.description })
    if chosen.isEmpty { chosen = Set(try inventory.hosts(matching: limit).map(\.id)) }
    if limit == TargetOptions.all { chosen.formUnion(gone) }
    let waived = all.filter(chosen.contains)
    guard !waived.isEmpty else {
      try store.close()
      try Terminal.print(WaiversDocument([], now: workspace.clock.now(), ended: true), output)
      return 0
    }
    return try await workspace.audited(Waiving.end, hosts: waived, reason: approval.reason) {
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
