import ArgumentParser
import Core
import Glibc
import Operations
import Ruleset

/// What `make bench` runs inside one process: parsing, canonical form and hash of a large ruleset.
struct Measure: Verb {
  static let configuration = CommandConfiguration(
    commandName: "measure", abstract: "Throughput of parse, canonical form and hash.", shouldDisplay: false)

  @Argument(help: "A file of iptables-save text, or with --plan a portcullis.yaml")
  var file: String

  @Flag(help: "Read, compile and plan that fleet, as if every host were enrolled")
  var plan = false

  @Option(help: "How often")
  var rounds = 20

  func perform() async throws -> Int32 {
    if plan {
      let measured = try PlanMeasure.run(try Workspace.open(config: file, environment: nil))
      let seconds = (measured.plan / .seconds(1) * 1000).rounded() / 1000
      Terminal.line(
        "\(measured.hosts) hosts, \(measured.rules) rules each: \(seconds) s, \(Self.peakMebibytes) MiB at most")
      return 0
    }
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

  private static var peakMebibytes: Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    // Linux counts KiB.
    return Int(usage.ru_maxrss) >> 10
  }
}
