import Core
import Ruleset
import TestSupport
import Testing

@Suite("The difference of two bundles' ipsets")
struct SetsDiffTests {
  private func set(_ numbers: some Sequence<Int>) throws -> AddressSet {
    try AddressSet(family: .ipv4, prefixes: numbers.compactMap { AddressPrefix("198.\($0 >> 8).\($0 & 255).1") })
  }

  @Test func `a set of seventy that gains one and loses one has two lines`() throws {
    let (old, new) = (try set(1...70), try set(2...71))
    let diff = RulesetDiff.members(from: try SetsFile([old]), to: try SetsFile([new]), .ipv4)
    #expect(
      diff.text == """
        *ipset
        :\(new.name)   (was \(old.name); 69 members stay)
        -198.0.1.1
        +198.0.71.1

        """)
    #expect(diff.added == 1 && diff.removed == 1)
    #expect(RulesetDiff.members(from: try SetsFile([old]), to: try SetsFile([new]), .ipv6).lines.isEmpty)
    #expect(RulesetDiff.members(from: try SetsFile([old]), to: try SetsFile([old]), .ipv4).lines.isEmpty)
  }

  @Test func `each of several sets is compared with the one it has most in common with`() throws {
    let (a, b, alone) = (try set(1...70), try set(60...160), try set([900]))
    let (newA, newB, other) = (try set(2...72), try set(60...161), try set([901]))
    let text = RulesetDiff.members(
      from: try SetsFile([a, b, alone]), to: try SetsFile([newA, newB, other]), .ipv4
    ).text
    #expect(text.contains(":\(newA.name)   (was \(a.name); 69 members stay)\n-198.0.1.1\n+198.0.71.1\n+198.0.72.1\n"))
    #expect(text.contains(":\(newB.name)   (was \(b.name); 101 members stay)\n+198.0.161.1\n"))
    #expect(text.contains("-:\(alone.name)\n-198.3.132.1\n") && text.contains("+:\(other.name)\n+198.3.133.1\n"))
  }

  @Test func `of a long set the beginning is shown, and the whole is counted`() throws {
    let diff = RulesetDiff.members(from: .empty, to: try SetsFile([set(1...5000)]), .ipv4)
    #expect(diff.lines.count == 1003 && diff.lines.last?.text == "… and 4000 more members …")
    #expect(diff.added == 5001 && diff.removed == 0)
  }

  @Test func `what comes and goes makes the new members of the old ones`() throws {
    var random = Random.fresh()
    func sets() throws -> [AddressSet] {
      try (0..<random.below(4)).map { _ in try set((0...random.below(60)).map { _ in random.below(80) }) }
    }
    for _ in 0..<200 {
      let (from, to) = (try SetsFile(sets()), try SetsFile(sets()))
      let diff = RulesetDiff.members(from: from, to: to, .ipv4)
      var balance: [String: Int] = [:]
      for member in from.sets.flatMap(\.elements) { balance["\(member)", default: 0] += 1 }
      for line in diff.lines where !line.text.hasPrefix(":") && line.kind != .header {
        balance[line.text, default: 0] += line.kind == .added ? 1 : -1
      }
      for member in to.sets.flatMap(\.elements) { balance["\(member)", default: 0] -= 1 }
      #expect(balance.values.allSatisfy { $0 == 0 }, "\(diff.text)")
      #expect(diff.isEmpty == (from == to))
    }
  }
}
