import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Store

struct ReleaseVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Signed releases, as they are kept.", subcommands: [Export.self, List.self])

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
}
