import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct ReleaseVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Signed releases, as they are kept.",
    subcommands: [Export.self, List.self, Withdraw.self])

  struct Export: FleetVerb {
    static let configuration = CommandConfiguration(
      abstract: "Write a host's bundle as plain files, for checking it with stock tools (docs/bundle.md).")

    @Argument(help: "A host of the inventory")
    var host: String

    @Option(help: "The folder to write to")
    var out: String

    @Option(help: "The release's serial (default: the newest that names the host)")
    var serial: UInt64?

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var output: OutputOptions

    var needsNetwork: Bool { false }

    func perform() async throws -> Int32 {
      let workspace = try open()
      guard let id = HostID(host) else {
        throw Failure(
          "export the bundle of \(SafeText.escape(host))", because: Reason("that is no host name"), kind: .usage)
      }
      guard let store = try workspace.existingStore() else {
        throw Failure(
          "export the bundle of \(id)", because: Reason("no release was ever made"), hint: "portcullis apply makes one",
          kind: .usage)
      }
      let files = try await BundleExport(workspace).export(id, serial: serial.map(Serial.init), to: out, store: store)
      try store.close()
      try Terminal.print(ExportDocument(host: host, folder: out, files: files), output)
      return 0
    }
  }

  struct List: FleetVerb {
    static let configuration = CommandConfiguration(abstract: "The releases made, the newest first.")

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var output: OutputOptions

    var needsNetwork: Bool { false }

    func perform() async throws -> Int32 {
      let store = try open().existingStore()
      let releases = try await store?.releases() ?? []
      try store?.close()
      try Terminal.print(ReleasesDocument(releases), output)
      return 0
    }
  }

  struct Withdraw: FleetVerb {
    static let configuration = CommandConfiguration(
      abstract: "Make hosts give our rules up; they stay enrolled.",
      discussion: """
        A release in which these hosts have no rules, brought to them like any other. They stay so until 'portcullis \
        apply -l HOST --reinstate'.
        """)

    @Argument(help: "Hosts of the inventory")
    var hosts: [String]

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var grants: GrantOptions
    @OptionGroup var contact: ContactOptions
    @OptionGroup var approval: ApprovalOptions
    @OptionGroup var output: OutputOptions

    private static func hint(for name: String, in inventory: HostInventory) -> String? {
      if UInt64(name) != nil {
        return "this verb takes hosts; 'portcullis rollback --to SERIAL' goes back to a release"
      }
      return NearestName.to(name, among: inventory.hosts.map(\.id.description)).map { "did you mean '\($0)'?" }
    }

    func validate() throws { try grants.requireReason(approval) }

    func perform() async throws -> Int32 {
      let granted = try grants.grants()
      let workspace = try open()
      let inventory = try readInventory(of: workspace)
      let named = try hosts.map { name in
        guard let host = inventory.host(named: name) else {
          throw Failure(
            "withdraw \(SafeText.escape(name))", because: Reason("the inventory has no such host"),
            hint: Self.hint(for: name, in: inventory), kind: .usage)
        }
        return host
      }
      guard Set(named.map(\.id)).count == named.count else {
        throw Failure("withdraw hosts", because: Reason("one is named twice"), kind: .usage)
      }
      let store = try workspace.store()
      let planned = try await Planning(workspace).plan(named, store: store, change: .withdrawal)
      return try await Change(verb: "withdraw", approval: approval, output: output)
        .carryOut(
          planned, Applying(workspace, limits: contact.value, terms: confirmation.value, grants: granted), store)
    }
  }
}
