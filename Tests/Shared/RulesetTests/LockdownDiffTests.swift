import Core
import Ruleset
import Testing

@Suite struct LockdownDiffTests {
  private func lockdown(_ name: String, _ rank: UInt16, _ rules: [String]) -> RulesetDiff.Lockdown {
    let text = (["*mangle", ":INPUT ACCEPT [0:0]"] + rules + ["COMMIT"]).map { "\($0)\n" }.joined()
    return RulesetDiff.Lockdown(name: ProfileName(name)!, rank: LockRank(rank)!, rules: Array(text.utf8))
  }

  private func shown(_ diff: RulesetDiff) -> [String] { diff.lines.map(\.marked) }

  @Test func `profiles that come and go are a line each, others show their rules`() {
    let (lo, drop) = ("-A INPUT -i lo -j RETURN", "-A INPUT -j DROP")
    let from = [lockdown("gone", 1, [drop]), lockdown("kept", 5, [lo, drop]), lockdown("same", 2, [drop])]
    let to = [
      lockdown("kept", 5, ["-A INPUT -p udp -j RETURN", lo]), lockdown("new", 9, [lo, drop]),
      lockdown("same", 2, [drop]),
    ]
    #expect(
      shown(RulesetDiff.lockdowns(from: from, to: to)) == [
        "*lockdown", "-:gone   (rank 1, 1 rules)", ":kept   (rank 5, 2 rules)", "-\(drop)",
        "+-A INPUT -p udp -j RETURN", "+:new   (rank 9, 2 rules)",
      ])
    let diff = RulesetDiff.lockdowns(from: from, to: to)
    #expect((diff.added, diff.removed) == (2, 2))
    #expect(RulesetDiff.lockdowns(from: from, to: from).isEmpty)
  }

  @Test func `another rank or another order is a change`() {
    let (lo, drop) = ("-A INPUT -i lo -j RETURN", "-A INPUT -j DROP")
    let before = [lockdown("p", 5, [lo, drop])]
    #expect(
      shown(RulesetDiff.lockdowns(from: before, to: [lockdown("p", 6, [lo, drop])])) == [
        "*lockdown", "-:p   (rank 5, 2 rules)", "+:p   (rank 6, 2 rules)",
      ])
    let turned = RulesetDiff.lockdowns(from: before, to: [lockdown("p", 5, [drop, lo])])
    #expect((turned.added, turned.removed) == (1, 1))
  }
}
