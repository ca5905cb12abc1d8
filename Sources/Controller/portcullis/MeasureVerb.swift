import ArgumentParser
import Core
import Operations
import Ruleset

/// What `make bench` runs inside one process: parsing, canonical form and hash of a large ruleset.
struct Measure: Verb {
  static let configuration = CommandConfiguration(
    commandName: "measure", abstract: "Throughput of parse, canonical form and hash.", shouldDisplay: false)

  @Argument(help: "A file of iptables-save text")
  var file: String

  @Option(help: "How often")
  var rounds = 20

  func perform() async throws -> Int32 {
    let text = try Files.read(file, atMost: 64 << 20)
    var best = Duration.seconds(3600)
    var digest: Digest?
    for _ in 0..<rounds {
      let start = ContinuousClock.now
      digest = try Ruleset.parse(save: text, file: file).digest
      best = min(best, start.duration(to: .now))
    }
    let seconds = best / .seconds(1)
    let rate = Double(text.count) / 1_000_000 / seconds
    Terminal.line("\(text.count) bytes, best of \(rounds): \((rate * 10).rounded() / 10) MB/s, \(digest!)")
    return 0
  }
}
