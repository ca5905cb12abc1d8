import Core
import TestSupport
import Testing

@testable import Inventory

@Suite("Folding host names")
struct FoldingTests {
  @Test(
    "Names fold into ranges of one width",
    arguments: [
      ([], ""),
      (["web1"], "web1"),
      (["db"], "db"),
      (["web3", "web1", "web2", "web2"], "web[1-3]"),
      (["node1", "node02"], "node1,node02"),
      (["web8", "web9", "web10"], "web[8-10]"),
      (["web08", "web09", "web10"], "web[08-10]"),
      (["web1", "web01", "web001"], "web001,web01,web1"),
      (["web1", "web3", "web4", "db"], "db,web[1,3-4]"),
      (["dc1-web1", "dc1-web2", "dc2-web1"], "dc1-web[1-2],dc2-web1"),
      (["r1.dc.example", "r2.dc.example"], "r[1-2].dc.example"),
      (["dc1-gw", "dc2-gw", "dc3-gw"], "dc[1-3]-gw"),
      (["1", "2"], "[1-2]"),
      (["a99999999999999999999", "a99999999999999999998"], "a99999999999999999998,a99999999999999999999"),
    ] as [([String], String)])
  func fold(names: [String], text: String) {
    #expect(Folding.fold(names) == text)
  }

  @Test("The order of the names does not matter, and big fleets fold fast")
  func large() {
    let names = (1...10_000).map { "web" + String(repeating: "0", count: 5 - String($0).count) + String($0) }
    #expect(Folding.fold(names.shuffled()) == "web[00001-10000]")
  }

  @Test("Whatever is folded expands to the same names")
  func roundTrip() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed of folding: \(seed)")
    var random = Random(seed: seed)
    let words = ["web", "db-", "a", "", ".x", "-", "rack.", "n"]
    for round in 0..<3000 {
      var names: Set<String> = []
      for _ in 0..<Int.random(in: 1...25, using: &random) {
        var name = ["h", "w", "0"].randomElement(using: &random)!
        for _ in 0..<Int.random(in: 0...3, using: &random) {
          name += words.randomElement(using: &random)!
          let number = String(Int.random(in: 0...120, using: &random))
          name += String(repeating: "0", count: Int.random(in: 0...2, using: &random)) + number
        }
        if Bool.random(using: &random) { name += words.randomElement(using: &random)! }
        names.insert(name)
      }
      let folded = Folding.fold(Array(names))
      let expanded = try Folding.expand(folded)
      #expect(Set(expanded) == names && expanded.count == names.count, "seed \(seed), round \(round): \(folded)")
      #expect(Folding.fold(names.shuffled(using: &random)) == folded, "seed \(seed), round \(round)")
    }
  }

  @Test("Numbers of any length, at every change of width and padding, and brackets change no name")
  func boundaries() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed of folding at boundaries: \(seed)")
    var random = Random(seed: seed)
    for round in 0..<2000 {
      var names: Set<String> = []
      let head = ["node", "n-1-", "0", "h9.", ""].randomElement(using: &random)!
      let tail = ["", ".x9", "0", "-b"].randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        // From one digit to twenty-two: an integer holds nineteen.
        let digits = Int.random(in: 1...22, using: &random)
        var text =
          [1, 9].randomElement(using: &random) == 1
          ? "1" + String(repeating: "0", count: digits - 1)
          : String(
            repeating: "9", count: digits)
        if Bool.random(using: &random) {
          text = String(repeating: "0", count: Int.random(in: 1...3, using: &random)) + text
        }
        names.insert(head + text + tail)
        // Its neighbours, with the width kept and lost.
        if digits < 18, let value = Int(text) {
          names.insert(head + String(value + 1) + tail)
          let next = String(value + 1)
          names.insert(head + String(repeating: "0", count: max(0, text.utf8.count - next.utf8.count)) + next + tail)
        }
      }
      let folded = Folding.fold(names.shuffled(using: &random))
      let expanded = try Folding.expand(folded)
      #expect(Set(expanded) == names && expanded.count == names.count, "seed \(seed), round \(round): \(folded)")
    }
    #expect(try Folding.expand(Folding.fold(["node1", "node02"])) == ["node1", "node02"])
    #expect(Folding.fold(["a[x]1", "a[x]2", "b]c", "[", "node1", "node02"]) == "[,a[x][1-2],b]c,node1,node02")
  }

  @Test(
    "Ranges expand as ClusterShell's do",
    arguments: [
      ("web[1-3]", ["web1", "web2", "web3"]),
      ("web[08-10,12]", ["web08", "web09", "web10", "web12"]),
      ("web[1-9/4]", ["web1", "web5", "web9"]),
      ("r[1-2]n[1-2],x", ["r1n1", "r1n2", "r2n1", "r2n2", "x"]),
      ("web[099-101]", ["web099", "web100", "web101"]),
      ("a,a", ["a"]),
      ("[0-1]", ["0", "1"]),
    ])
  func expand(text: String, names: [String]) throws {
    #expect(try Folding.expand(text) == names)
  }

  @Test(
    "What is no range, or stands for too many, is refused",
    arguments: [
      "web[3-1]", "web[a-c]", "web[1-", "web]1", "web[1-3]]", "web[]", "web[1,]", "a,,b", "", "web[1-2-3]", "web[1/2]",
      "web[1-9/0]", "web[1-999999999]", "web[1-9999][1-9999]", "web[1-999999999999999999]", "web[1-010]", "web[001-10]",
      "web[1-99999999999999999999]",
    ])
  func refused(text: String) {
    #expect(throws: Reason.self) { try Folding.expand(text) }
  }
}
