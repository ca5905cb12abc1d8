import ArgumentParser
import Console
import Core
import Glibc
import Operations

struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The keys that sign releases, and the one that logs in to hosts.", subcommands: [Initialize.self])

  struct Initialize: FleetVerb {
    static let configuration = CommandConfiguration(
      commandName: "init",
      abstract: "Make the signing keys, or adopt public keys you have, and write allowed_signers.",
      discussion: """
        A key held by ssh-agent or a FIDO token is adopted by its public half, and signing then asks the agent or for a \
        touch: set keys.signing_key in portcullis.yaml to that .pub file. The release key also signs the end of lockdowns; \
        the lockdown key begins them, and can do nothing else.
        Example: portcullis keys init --public-key ~/.ssh/id_ed25519_sk.pub --principal alice@example.net
        """)

    @Option(help: "Adopt this public key instead of making one")
    var publicKey: String?

    @Option(help: "Adopt this public key for lockdowns instead of making one")
    var lockdownPublicKey: String?

    @Option(help: "Who signs, as hosts will know them (default: USER@HOST of this login)")
    var principal: String?

    @Flag(help: "Make keys without a passphrase: for labs and automation")
    var noPassphrase = false

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var output: OutputOptions

    var needsNetwork: Bool { false }

    func perform() async throws -> Int32 {
      let workspace = try open()
      guard noPassphrase || publicKey != nil && lockdownPublicKey != nil || Terminal.isInteractive else {
        throw Failure(
          "make signing keys", because: Reason("there is no terminal to ask for a passphrase"),
          hint: "say --no-passphrase, or adopt keys with --public-key and --lockdown-public-key", kind: .refused)
      }
      return try await workspace.audited("keys init", hosts: [], reason: nil) {
        let created = try await workspace.configuration.keys.initialize(
          principal: principal ?? Self.ownPrincipal, adopting: publicKey, forLockdown: lockdownPublicKey,
          passphrase: noPassphrase ? .none : .asked(workspace.told))
        let login = try await LoginKey(path: workspace.configuration.login.identity).ensure()
        try Terminal.print(
          KeysDocument(created: created, loginKey: login.path, loginKeyMade: login.made), output)
        return ActionEnd(exitCode: 0)
      }
    }

    private static var ownPrincipal: String {
      let user = getenv("USER").map { String(cString: $0) } ?? "root"
      var name = [CChar](repeating: 0, count: 256)
      gethostname(&name, name.count - 1)
      let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return "\(user)@\(host)"
    }
  }
}
