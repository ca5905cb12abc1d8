import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Rollout
import Store

struct Confirm: SettleVerb {
  static let configuration = CommandConfiguration(
    abstract: "Keep the changes that 'apply --confirm manual' left waiting.",
    discussion: "Over a new connection to every host. Example: portcullis confirm -l web")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "Why, for the record")
  var reason: String?

  var word: Settling.Word { .confirm }
}

struct Cancel: SettleVerb {
  static let configuration = CommandConfiguration(
    abstract: "Take back, at once, the changes that 'apply --confirm manual' left waiting.",
    discussion: "Example: portcullis cancel -l web")

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "Why, for the record")
  var reason: String?

  var word: Settling.Word { .cancel }
}

protocol SettleVerb: FleetVerb {
  var target: TargetOptions { get }
  var contact: ContactOptions { get }
  var output: OutputOptions { get }
  var reason: String? { get }
  var word: Settling.Word { get }
}

extension SettleVerb {
  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = try workspace.store()
    let settling = Settling(workspace, limits: contact.value)
    let changes = try await settling.changes(of: hosts, for: word, store: store)
    return try await workspace.audited(word.rawValue, hosts: changes.map(\.host), reason: reason) {
      let settled = try await settling.settle(changes, with: word, store: store, reason: reason ?? "-") { _ in }
      try store.close()
      try Terminal.print(SettleDocument(settled, word: word), output)
      return ActionEnd(exitCode: settled.tally.exitCode.rawValue)
    }
  }
}
