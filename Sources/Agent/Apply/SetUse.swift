internal import Core
internal import Ruleset

// What keeps a set from going away: the kernel holds on to it while a rule or another set names it.

/// A rule that names one of some sets.
struct SetUse {
  let family: Family
  let table: String
  let name: String

  /// Nil when none does.
  init?(of names: Set<String>, in rules: PerFamily<Ruleset>) {
    for family in Family.allCases {
      for table in rules[family].tables {
        guard let name = SetName.named(in: Ruleset(tables: [table])).intersection(names).min() else { continue }
        self.family = family
        self.table = table.name
        self.name = name
        return
      }
    }
    return nil
  }

  var hint: String {
    "take it out (\(family == .ipv4 ? "iptables-save" : "ip6tables-save") shows it), then do this again"
  }
}

extension HostAgent {
  /// In words, whose sets of sets keep these sets of ours from going away, and what to do about it; nil when none does.
  func holders(of names: Set<String>, _ calls: SetCalls) -> (words: String, hint: String)? {
    guard let lists = try? calls.lists() else { return nil }
    let held = lists.flatMap { list, members in members.filter(names.contains).map { (list: list, member: $0) } }
      .min { ($0.list, $0.member) < ($1.list, $1.member) }
    guard let held else { return nil }
    let list = SafeText.escape(held.list)
    return (
      "the ipset \(list), which is not ours, has our \(held.member) as a member",
      "take it out with 'ipset del \(list) \(held.member)', then do this again"
    )
  }
}
