import TestSupport
import Testing

@testable import Ruleset

@Suite("Which rules stay")
struct CommonRulesTests {
  @Test func `Few differences are found with as few lines as there can be`() {
    var random = Random.fresh()
    for _ in 0..<600 {
      let letters = 1 + random.below(6)
      func rules() -> [Rule] {
        (0..<random.below(14)).map { _ in Rule(text: Array("-A X -j T\(random.below(letters))".utf8)) }
      }
      let from = rules()
      let to = rules()
      let common = CommonRules(from: from, to: to)
      let keptFrom = zip(from, common.keptFrom).filter(\.1).map(\.0)
      let keptTo = zip(to, common.keptTo).filter(\.1).map(\.0)
      #expect(keptFrom == keptTo)
      #expect(keptFrom.count == Self.longestCommonSubsequence(from, to))
    }
  }

  @Test func `Many differences keep what occurs once on both sides, in order`() {
    var random = Random.fresh()
    let from = (0..<3000).map { Rule(text: Array("-A X -j T\($0)".utf8)) }
    // Every other rule is replaced: many more differences than are searched for one by one.
    let to = from.enumerated().map { index, rule in
      index % 2 == 0 ? rule : Rule(text: Array("-A X -j U\(random.below(50))".utf8))
    }
    let common = CommonRules(from: from, to: to)
    #expect(common.keptFrom.count { $0 } == 1500)
    #expect(common.keptFrom == from.indices.map { $0 % 2 == 0 })
    #expect(common.keptTo == common.keptFrom)
  }

  private static func longestCommonSubsequence(_ a: [Rule], _ b: [Rule]) -> Int {
    var row = [Int](repeating: 0, count: b.count + 1)
    for x in a {
      var diagonal = 0
      for j in b.indices {
        let above = row[j + 1]
        row[j + 1] = x == b[j] ? diagonal + 1 : max(above, row[j])
        diagonal = above
      }
    }
    return row[b.count]
  }
}
