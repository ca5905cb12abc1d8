import Core
import Ruleset
import TestSupport
import Testing

/// How fast a host's text becomes a digest. Only an optimised build says how fast (and must reach the budget); any
/// build shows that time grows with size and not with its square.
@Suite("Throughput", .serialized)
struct ThroughputTests {
  #if DEBUG
    private static let sizes = [(10_000, 10), (20_000, 10_000)]
    private static let rounds = 1
  #else
    private static let sizes = [(10_000, 10), (100_000, 20), (100_000, 20_000)]
    private static let rounds = 15
  #endif

  static func save(rules: Int, chains: Int, counters: Bool) -> [UInt8] {
    var text: [UInt8] = Array("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n".utf8)
    for chain in 0..<chains { text += Array(":KUBE-SVC-\(chain) - [0:0]\n".utf8) }
    for rule in 0..<rules {
      if counters { text += Array("[\(rule * 7):\(rule * 4200)] ".utf8) }
      let chain = rule * chains / rules
      let address = "10.\(rule >> 16 & 255).\(rule >> 8 & 255).\(rule & 255)/32"
      let comment = rule % 2 == 0 ? " -m comment --comment \"ns/service-\(rule):http cluster IP\"" : ""
      text += Array(
        "-A KUBE-SVC-\(chain) -s \(address) -p tcp -m tcp\(comment) --dport \(rule & 0x7fff) -j ACCEPT\n".utf8)
    }
    return text + Array("COMMIT\n".utf8)
  }

  @Test(arguments: sizes, [false, true])
  func `Parse, canonicalise and hash at 150 MB a second or more`(size: (Int, Int), counters: Bool) throws {
    let bytes = Self.save(rules: size.0, chains: size.1, counters: counters)
    var best: [Duration] = [.seconds(1000), .seconds(1000), .seconds(1000)]
    for _ in 0..<Self.rounds {
      let start = ProcessorTime.now
      let ruleset = try Ruleset.parse(save: bytes, file: "save")
      let parsed = ProcessorTime.now
      let canonical = ruleset.canonical()
      let written = ProcessorTime.now
      let digest = Digest(of: canonical)
      best[0] = min(best[0], parsed - start)
      best[1] = min(best[1], written - parsed)
      best[2] = min(best[2], ProcessorTime.now - written)
      #expect(digest == ruleset.digest && ruleset.ruleCount == size.0)
    }
    report("\(size.0) rules, \(size.1) chains, counters \(counters)", bytes.count, best)
    let whole = Self.rate(bytes.count, best.reduce(.zero, +))
    #if DEBUG
      #expect(whole > 0.1)
    #else
      #expect(whole >= 150)
    #endif
  }

  @Test func `Strict parsing is bounded by its size too`() throws {
    // As many rules as the 8 MiB of a bundle's file hold.
    let count = Self.rounds > 1 ? 75_000 : 10_000
    let bytes = Self.save(rules: count, chains: 20, counters: false)
    var best = Duration.seconds(1000)
    for _ in 0..<Self.rounds {
      let start = ProcessorTime.now
      let ruleset = try Ruleset.parse(policy: bytes, file: "rules", family: .ipv4)
      best = min(best, ProcessorTime.now - start)
      #expect(ruleset.ruleCount == count)
    }
    report("strict, \(count) rules", bytes.count, [best])
    #expect(best < .seconds(60))
  }

  private func report(_ what: String, _ size: Int, _ times: [Duration]) {
    let names = times.count == 1 ? ["parse"] : ["parse", "canonical", "hash", "all"]
    let rates = (times.count == 1 ? times : times + [times.reduce(.zero, +)]).map { Self.rate(size, $0) }
    let words = zip(names, rates).map { "\($0) \(Int($1)) MB/s" }
    print("\(what), \(size) bytes: \(words.joined(separator: ", "))")
  }

  private static func rate(_ size: Int, _ time: Duration) -> Double { Double(size) / 1e6 / (time / .seconds(1)) }
}
