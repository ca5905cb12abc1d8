import Core
import Foundation
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

/// Changes bytes of texts that once were right.
struct Mutator {
  var random: Random
  let corpus: [[UInt8]]
  /// What readers treat specially.
  let pieces: [String]

  mutating func next() -> [UInt8] {
    var bytes = random.pick(corpus)
    for _ in 0...random.below(3) {
      let place = random.below(bytes.count + 1)
      let end = min(bytes.count, place + random.below(random.sometimes(4) ? 200 : 6))
      switch random.below(7) {
      case 0: bytes.removeSubrange(place..<end)
      case 1: bytes.insert(contentsOf: random.pick(pieces).utf8, at: place)
      case 2: bytes.insert(UInt8(random.below(256)), at: place)
      case 3 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.below(8))
      case 4: bytes.replaceSubrange(place..<end, with: random.pick(pieces).utf8)
      case 5:
        let other = random.pick(corpus)
        let from = random.below(other.count)
        bytes.insert(contentsOf: other[from..<min(other.count, from + random.below(120))], at: place)
      default:
        let piece = Array(bytes[place..<end])
        for _ in 0..<(random.sometimes(300) ? random.below(2000) : random.below(4))
        where bytes.count + piece.count < 65_536 {
          bytes.insert(contentsOf: piece, at: place)
        }
      }
    }
    return Array(bytes.prefix(65_536))
  }
}

@Suite("Texts gone wrong")
struct LanguageFuzzTests {
  private static let count = Fuzzing.count(8_000)
  private static let pieces = [
    ":", ": ", "- ", "  ", "\n", "\t", "{", "}", "[", "]", ",", "&a ", "*a", "!!int ", "!x", "|", ">", "\"", "'", "#",
    "%", "@",
    "? ", "---\n", "...\n", "~", "null", "22:30", "no", "0644", "1e3", "${one}", "${", "controllers", "group:web",
    "host:", "::/0",
    "0.0.0.0/0", "999999999999999999999", "-1", "é", "\u{0}", "\u{feff}", "\u{202e}", "accept", "input:",
    "sets:\n  a: [a]\n", "<<: ",
  ]

  /// Small, so that a change hits something.
  private static func corpus() -> [[UInt8]] {
    var generator = PolicyRandom(random: .fresh())
    let written = [manualPolicy, manualInventory, languageInventory].flatMap { text -> [String] in
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      return stride(from: 0, to: lines.count, by: 6).map {
        lines[$0..<min(lines.count, $0 + 6)].joined(separator: "\n") + "\n"
      }
    }
    return (written + (0..<60).map { _ in generator.small() }).map { Array($0.utf8) }
  }

  /// The slowest of all.
  private func run(_ what: String, _ mutator: inout Mutator, _ read: ([UInt8]) -> Bool) {
    var accepted = 0
    var slowest = Duration.zero
    for _ in 0..<Self.count {
      let input = mutator.next()
      let start = ProcessorTime.now
      if read(input) { accepted += 1 }
      let taken = ProcessorTime.now - start
      slowest = max(slowest, taken)
      #expect(taken < .seconds(1), "\(what): \(String(decoding: input.prefix(2000), as: UTF8.self))")
    }
    print("\(what): \(Self.count) inputs, \(accepted) accepted, the slowest took \(slowest)")
    // Neither everything nor nothing gets through, or the corpus is no use.
    #expect(accepted > Self.count / 200 && accepted < Self.count)
  }

  @Test("YAML: nothing crashes, hangs or takes longer than a second")
  func yaml() {
    var mutator = Mutator(random: .fresh(), corpus: Self.corpus(), pieces: Self.pieces)
    run("YAML", &mutator) { bytes in
      do throws(Diagnostics) {
        _ = try StrictYAML.parse(bytes, file: "fuzz.yaml")
        return true
      } catch {
        #expect(!error.all.isEmpty)
        return false
      }
    }
  }

  @Test("Policies: nothing crashes, hangs or takes longer than a second, and what is accepted compiles or says why not")
  func policies() throws {
    let fleet = try inventory(languageInventory)
    let addresses = FleetAddresses(fleet, pins: NamePins())
    let host = try #require(fleet.hosts.first { $0.id.description == "h" })
    let facts = HostFacts(host, controllers: [NumericAddress("203.0.113.1")!])
    var mutator = Mutator(
      random: .fresh(), corpus: Self.corpus().filter { $0.starts(with: "policy: p\n".utf8) }, pieces: Self.pieces)
    run("policies", &mutator) { bytes in
      guard let root = try? StrictYAML.parse(bytes, file: "p.yaml") else { return false }
      var reader = PolicyFileReader(file: "p.yaml", name: "p", folder: nil)
      guard let policy = reader.read(root) else {
        #expect(!reader.problems.isEmpty)
        return false
      }
      do throws(Diagnostics) {
        let composition = try Composition([policy])
        var compiler = HostCompiler(composition, common: CommonFile(), facts: facts, fleet: addresses, pins: NamePins())
        let compiled = try compiler.compile()
        for family in Family.allCases {
          // One place for each line, and nothing that a terminal would obey.
          #expect(compiled.source(of: family, line: compiled.rules[family].count { $0 == 0x0a }) != nil)
          #expect(compiled.rules[family].allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
        }
        return true
      } catch {
        return false
      }
    }
  }
}
