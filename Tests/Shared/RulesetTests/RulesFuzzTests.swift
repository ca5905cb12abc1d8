import Core
import Foundation
import Ruleset
import TestSupport
import Testing

@Suite("Rules gone wrong")
struct RulesFuzzTests {
  private static let count = Fuzzing.count(20_000)
  private static let pieces = [
    "*filter\n", "COMMIT\n", ":INPUT DROP [0:0]\n", ":X - [0:0]\n", "-A INPUT ", "-j ACCEPT", "! ", "\"", "\\", "\\\"",
    " ", "\n", "\r\n",
    "-s ", "10.0.0.1/33", "::1", "[1:2] ", "# ", "--dport ", "1:65536", ",", "--comment ", "-m ", "\u{0}", "é", "--",
    "-", "controllers",
  ]

  private static let corpus: [[UInt8]] = ExtensionRules.all.flatMap { test -> [[UInt8]] in
    let rule = "-A \(test.rule)\n"
    let chains = (BuiltInChains.chains(of: test.table) ?? []).map { ":\($0) ACCEPT [0:0]\n" }.joined()
    let table = "*\(test.table)\n\(chains):MINE - [0:0]\n\(rule)COMMIT\n"
    return [
      Array(table.utf8),
      Array("# x\n*\(test.table)\n\(chains):MINE - [0:0]\n[1:2] \(rule)\(rule)COMMIT\n".utf8),
    ]
  }

  private static func mutated(_ random: inout Random) -> [UInt8] {
    var bytes = random.pick(corpus)
    for _ in 0...random.below(3) {
      let place = random.below(bytes.count + 1)
      let end = min(bytes.count, place + random.below(8))
      switch random.below(6) {
      case 0: bytes.removeSubrange(place..<end)
      case 1: bytes.insert(contentsOf: random.pick(pieces).utf8, at: place)
      case 2: bytes.insert(UInt8(random.below(256)), at: place)
      case 3: bytes.replaceSubrange(place..<end, with: random.pick(pieces).utf8)
      case 4:
        let other = random.pick(corpus)
        bytes.insert(contentsOf: other[random.below(other.count)...], at: place)
      default:
        let piece = Array(bytes[place..<end])
        let times = random.below(400) == 0 ? random.below(9000) : random.below(3)
        bytes.insert(contentsOf: (0..<times).flatMap { _ in piece }, at: place)
      }
    }
    return Array(bytes.prefix(65_536))
  }

  private func run(_ what: String, _ read: ([UInt8]) -> Ruleset?, _ check: (Ruleset, [UInt8]) -> Void) {
    var random = Random.fresh()
    var accepted = 0
    var slowest = Duration.zero
    for _ in 0..<Self.count {
      let input = Self.mutated(&random)
      let start = ProcessorTime.now
      let ruleset = read(input)
      let taken = ProcessorTime.now - start
      slowest = max(slowest, taken)
      #expect(taken < .seconds(1), "\(what): \(String(decoding: input.prefix(2000), as: UTF8.self))")
      if let ruleset {
        accepted += 1
        check(ruleset, input)
      }
    }
    print("\(what): \(Self.count) inputs, \(accepted) accepted, the slowest took \(slowest)")
    #expect(accepted > Self.count / 200 && accepted < Self.count)
  }

  @Test("Saves: nothing crashes or hangs, and what is read has a canonical form that stays itself")
  func saves() {
    run("saves", { try? Ruleset.parse(save: $0, file: "fuzz") }) { ruleset, input in
      let canonical = ruleset.canonical()
      let again = try? Ruleset.parse(save: canonical, file: "again")
      #expect(again?.canonical() == canonical, "\(String(decoding: input, as: UTF8.self))")
    }
  }

  @Test("Policies: nothing crashes or hangs, and what is accepted is a save of one line for each rule")
  func policies() {
    for family in Family.allCases {
      run("policies, \(family)", { try? Ruleset.parse(policy: $0, file: "fuzz", family: family) }) { ruleset, input in
        let canonical = ruleset.canonical()
        // No rule hides another one behind a line end or a quote.
        #expect(canonical.count { $0 == 0x0a } >= ruleset.ruleCount)
        #expect(canonical.allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
        let again = try? Ruleset.parse(save: canonical, file: "again")
        #expect(again?.canonical() == canonical, "\(String(decoding: input, as: UTF8.self))")
      }
    }
  }
}
