import ArgumentParser
import Console
import Core
import Operations
import Ruleset

struct RulesetVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ruleset", abstract: "Canonical form, digest and difference of any iptables-save text.",
    subcommands: [Canonical.self, DigestVerb.self, Diff.self])

  struct Canonical: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Tables and chains by name, without counters, comments and dates.")

    @Argument(help: "Files of iptables-save text; - is standard input")
    var files: [String]

    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let canonical = try files.map { RulesetDocument.Canonical(file: $0, text: try read($0).canonical()) }
      try Terminal.print(RulesetDocument(canonical: canonical), output)
      return 0
    }
  }

  struct DigestVerb: Verb {
    static let configuration = CommandConfiguration(
      commandName: "digest", abstract: "SHA-256 of the canonical form: sha256:HEX  FILE")

    @Argument(help: "Files of iptables-save text; - is standard input")
    var files: [String]

    @OptionGroup var output: OutputOptions

    func perform() async throws -> Int32 {
      let digests = try files.map { DigestDocument.File(file: $0, digest: try read($0).digest.description) }
      try Terminal.print(DigestDocument(files: digests), output)
      return 0
    }
  }

  struct Diff: Verb {
    static let configuration = CommandConfiguration(
      abstract: "Difference of rules, not of counters or dates. Exits 0 when there is none, 2 when there is.")

    @Argument(help: "Before; - is standard input")
    var from: String

    @Argument(help: "After; - is standard input")
    var to: String

    @Option(help: "Unchanged rules shown around a change")
    var context = 3

    @OptionGroup var output: OutputOptions

    func validate() throws {
      if from == "-", to == "-" { throw ValidationError("only one side can be standard input") }
      if !(0...10_000).contains(context) { throw ValidationError("--context takes 0 to 10000") }
    }

    func perform() async throws -> Int32 {
      let diff = RulesetDiff.unified(from: try read(from), to: try read(to), context: context)
      try Terminal.print(DiffDocument(from: from, to: to, diff: diff), output)
      return diff.isEmpty ? 0 : 2
    }
  }
}

/// A file, a pipe such as a shell makes of `<(command)`, or standard input for "-", at most 64 MiB.
private func read(_ file: String) throws -> Ruleset {
  let limit = 64 << 20
  let text =
    switch file {
    case "-": try Piped.standardInput(atMost: limit)
    case _ where Piped.isPipe(file): try Piped.contents(of: file, atMost: limit)
    default: try Files.read(file, atMost: limit)
    }
  return try Ruleset.parse(save: text, file: file)
}
