import ArgumentParser
import Console
import Core
import Operations
import Store

struct LockdownSign: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "sign", abstract: "Add your signature to an armed order, after looking at it.",
    discussion: """
      People count, not keys: whoever has signed it cannot sign again with another key.
      Example: portcullis lockdown sign 7 --key ~/.ssh/id_ed25519_sk
      """)

  @Argument(help: "The order's number")
  var epoch: UInt64

  @Option(help: "Sign with this key instead of the configured one; a .pub file for a key of ssh-agent or a token")
  var key: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let store = try workspace.store()
    let hosts = try await store.hosts(of: Epoch(epoch))
    return try await workspace.audited("lockdown sign", hosts: hosts, reason: nil) {
      let (order, signature) = try await OrderSigning(workspace, store).sign(Epoch(epoch), key: key) { order in
        Terminal.say(try OrderDocument(order, hosts: hosts).text(TextStyle()).trimmed)
      }
      try store.close()
      try Terminal.print(SignDocument(order, by: signature.principal, hosts: hosts), output)
      return ActionEnd(exitCode: 0, order: order.epoch)
    }
  }
}

extension String {
  fileprivate var trimmed: String { hasSuffix("\n") ? String(dropLast()) : self }
}
