internal import Core
internal import Inventory
internal import Ruleset

/// What the `containers:` of several policies make together of one host: the items of each in turn, then what all say of
/// the rest, like a default.
///
/// The rest is one of a family: an item may take everything of one, by `family` or by its addresses, and be one of many
/// in the other.
struct ContainersComposition: Sendable {
  typealias Line = (family: Family, text: String, source: SourceLocation)

  private struct Rest: Sendable {
    let item: ContainerRules.Item
    let texts: [String]
  }

  private(set) var lines: [Line] = []
  private(set) var problems = Problems()
  /// Named by the rules.
  private(set) var sets: Set<AddressSet> = []
  private var rests = PerFamily<Rest?>(ipv4: nil, ipv6: nil)

  init(_ composition: Composition, common: CommonFile, facts: HostFacts, fleet: FleetAddresses, pins: NamePins) {
    let sections = composition.policies.compactMap { policy in policy.containers.map { (policy, $0) } }
    guard let first = sections.first else { return }
    lines = Family.allCases.map { ($0, ContainerCompiler.answers, first.1.location) }
    for (policy, section) in sections {
      var compiler = MatchCompiler(policy, common: common, facts: facts, fleet: fleet, pins: pins)
      add(section, &compiler)
      compiler.resolver.problems.all.forEach { problems.add($0) }
      sets.formUnion(compiler.resolver.usedSets)
    }
    for family in Family.allCases {
      guard let rest = rests[family] else { continue }
      lines += rest.texts.map { (family, $0, rest.item.match.location) }
    }
  }

  private mutating func add(_ section: ContainerRules, _ compiler: inout MatchCompiler) {
    var ended = PerFamily<SourceLocation?>(ipv4: nil, ipv6: nil)
    for item in section.items {
      let rules = ContainerCompiler.rules(item, &compiler)
      let count = rules.ipv4.texts.count + rules.ipv6.texts.count
      if count > MatchCompiler.expansionLimit {
        problems.add(
          item.match.location,
          "the item would become \(count) rules, more than the \(MatchCompiler.expansionLimit) allowed",
          hint: "name ranges of ports (8000-8010) and prefixes instead of every one")
      }
      for family in Family.allCases where !rules[family].texts.isEmpty {
        if let end = ended[family] {
          // The rest of the other family, said of both.
          if rules[family].takesEverything, rests[family]?.item.verdict == item.verdict { continue }
          problems.add(
            item.match.location,
            "containers: this item is never reached in \(family.words): the one at \(end) takes everything of it",
            hint: "move it before that one, or say `family: \(family == .ipv4 ? "ipv6" : "ipv4")`")
        } else if rules[family].takesEverything {
          ended[family] = item.match.location
          join(Rest(item: item, texts: rules[family].texts), family)
        } else {
          lines += rules[family].texts.map { (family, $0, item.match.location) }
        }
      }
    }
  }

  private mutating func join(_ rest: Rest, _ family: Family) {
    guard let said = rests[family] else {
      rests[family] = rest
      return
    }
    guard said.item.verdict != rest.item.verdict else { return }
    let contradicted = "\(said.item.verdict.rawValue) at \(said.item.match.location)"
    problems.add(
      rest.item.match.location,
      "containers: \(rest.item.verdict.rawValue) of the rest contradicts \(contradicted)",
      hint: "these policies apply to the same hosts: let only one of them say it")
  }
}
