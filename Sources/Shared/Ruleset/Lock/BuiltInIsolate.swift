package import Core

/// The lockdown that is loaded when the ordered one cannot be: nothing passes but management, what stays on the host,
/// and what its own addresses live on. It keeps no flows, as nobody signed any.
package enum BuiltInIsolate {
  package static func ruleset(_ family: Family, sources: [String], sshPorts: [UInt16] = [22]) -> Ruleset {
    let door = LockRules.door(family, sources: sources, sshPorts: sshPorts)
    let ground = LockRules.ground(family, sources: sources)
    return Ruleset(tables: [
      RuleTable(
        name: LockLayer.table,
        chains: [
          chain("INPUT", door.input + ground.input), chain("FORWARD", []), chain("OUTPUT", door.output + ground.output),
        ])
    ])
  }

  private static func chain(_ name: String, _ rules: [String]) -> RuleChain {
    let whole = rules + [LockRules.nonSYN, "-j DROP"]
    return RuleChain(name: name, policy: "ACCEPT", rules: whole.map { Rule(text: Array("-A \(name) \($0)".utf8)) })
  }
}
