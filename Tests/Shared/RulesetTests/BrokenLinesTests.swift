import Testing

@testable import Ruleset

@Suite struct BrokenLinesTests {
  private func joined(_ rules: String) -> String? {
    let text = "*filter\n:INPUT ACCEPT [0:0]\n\(rules)\nCOMMIT\n"
    return Ruleset.joiningBrokenLines(of: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func `a rule whose comment goes over the line's end becomes one line that is never fed back`() throws {
    let text = try #require(joined("-A INPUT -m comment --comment \"say \\\"x\\\"\n-A INPUT -j ACCEPT\" -j DROP"))
    let table = try Ruleset.parse(save: Array(text.utf8), file: "t")[table: "filter"]
    let rules = try #require(table?[chain: "INPUT"]?.rules)
    #expect(rules.count == 1)
    #expect(rules.allSatisfy { !$0.canBeFedBack })
  }

  @Test(arguments: [
    "-A INPUT -m comment --comment \"whole\" -j DROP", "-A INPUT -m comment --comment \"never\n-A INPUT -j DROP",
    "# a \"remark\n-A INPUT -j DROP",
  ])
  func `what needs no joining, or would not be mended by it, is left alone`(rules: String) {
    #expect(joined(rules) == nil)
  }
}
