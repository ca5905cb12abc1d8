internal import Core
internal import Ruleset

extension HostAgent {
  /// Puts back what was found at enrolment, in both families, and reads it back: for a host that leaves the fleet. The
  /// journal is not told, because it goes too.
  package func loadGeneration0() throws {
    guard let found = try generation0Rules() else {
      throw Failure(
        "load generation 0", because: Reason("the rules found at enrolment were never captured"),
        hint: "remove with --rules keep, and change the rules by hand")
    }
    let ours = try ledger().committed.map { try committedRules($0).tables } ?? PerFamily(ipv4: [], ipv6: [])
    let target = LoadTarget(
      inputs: found.rulesets.map { family, ruleset in RestoreInput(ruleset, emptying: ours[family]) },
      expected: found.expected)
    for family in [Family.ipv6, .ipv4] { try load(target, family) }
    try requireLoadedAfterUpgrade(target)
  }
}
