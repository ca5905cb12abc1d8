import ArgumentParser
import Audit
import Console
import Core
import Operations
import Store

struct AuditVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Who did what, when and why, as this controller wrote it down.",
    subcommands: [List.self, Verify.self])

  struct List: FleetVerb {
    static let configuration = CommandConfiguration(abstract: "The actions, in their order.")

    @Option(help: "From then on: 90s, 15m, 2h, 7d ago, a day (2026-11-21) or a time (2026-11-21T14:00:00Z), in UTC")
    var since: String?

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var output: OutputOptions

    var needsNetwork: Bool { false }

    func perform() async throws -> Int32 {
      let workspace = try open()
      let moment = try since.map { try Since.parse($0, now: workspace.clock.now()) }
      try Terminal.print(AuditListDocument(try workspace.audit.record(), since: moment), output)
      return 0
    }
  }

  struct Verify: FleetVerb {
    static let configuration = CommandConfiguration(
      abstract: "Whether every line follows from the one before; exits 2 if one does not.",
      discussion: """
        Prints the last line's hash, the head. Note it elsewhere: only with it can it be told later that the end was cut off, \
        or that all of the log was written anew.
        Example: portcullis audit verify --head sha256:…
        """)

    @Option(help: "A hash noted earlier: it must be that of a line")
    var head: String?

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var output: OutputOptions

    var needsNetwork: Bool { false }

    func perform() async throws -> Int32 {
      let noted = try head.map { text in
        guard let digest = Digest(text.hasPrefix("sha256:") ? text : "sha256:\(text)") else {
          throw Failure(
            "look for the head \(SafeText.escape(text))",
            because: Reason("it is not 'sha256:' and 64 hexadecimal digits"),
            kind: .usage)
        }
        return digest
      }
      let workspace = try open()
      let log = workspace.audit
      let document = AuditVerifyDocument(try log.verify(head: noted), path: log.path)
      try Terminal.print(document, output)
      return document.exitCode
    }
  }
}
