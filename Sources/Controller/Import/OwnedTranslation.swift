internal import Core
internal import Ruleset

/// The rules of a host that the agent keeps already, as its policy once said them: our chains get their own names back,
/// and their rules stand where our hook stood.
struct OwnedTranslation {
  private let file: String
  private var problems: [Diagnostic] = []

  init(file: String) { self.file = file }

  static func run(_ saved: Ruleset, file: String) throws(Diagnostics) -> Ruleset {
    var translation = OwnedTranslation(file: file)
    let tables = saved.tables.map { translation.table($0) }
    if let problems = Diagnostics(translation.problems) { throw problems }
    return Ruleset(tables: tables)
  }

  private mutating func table(_ saved: RuleTable) -> RuleTable {
    let ours = saved.chains.filter { OwnedNames.isOurs($0.name) }
    guard !ours.isEmpty else { return saved }
    var table = RuleTable(name: saved.name)
    for chain in saved.chains where !OwnedNames.isOurs(chain.name) {
      var translated = RuleChain(name: chain.name, policy: chain.policy)
      for rule in chain.rules {
        let target = RuleTarget.name(of: rule)
        if let target, OwnedNames.isOurs(target) {
          translated.rules += hooked(saved, target, default: chain.policy)
        } else {
          translated.rules.append(rule)
        }
      }
      table.chains.append(translated)
    }
    for chain in ours where chain.name.hasPrefix("PCL:") {
      let name = OwnedNames.shown(chain.name)
      if OwnedNames.isOurs(name) {
        refuse(chain, "the whole name of our chain \(chain.name) is not kept on the host")
      } else if saved[chain: name] != nil {
        refuse(chain, "the host has a chain \(name) beside our chain of this name")
      }
      table.chains.append(RuleChain(name: name, policy: nil, rules: chain.rules.map(Self.shown)))
    }
    if let containers = ours.first(where: { $0.name == "PCL-\(OwnedRules.containersChain)" }) {
      refuse(containers, "its rules for containers come from the section `containers` of a policy of ours")
    }
    return table
  }

  private mutating func refuse(_ chain: RuleChain, _ message: String) {
    let line = chain.rules.first?.line ?? 1
    problems.append(
      Diagnostic(
        SourceLocation(file: file, line: max(1, line), column: 1), message,
        hint: "this host has a policy of ours already: copy that one"))
  }

  /// The policy's own rules behind our hook, without the default that we add at their end.
  private func hooked(_ saved: RuleTable, _ target: String, default policy: String?) -> [Rule] {
    guard let outer = saved[chain: target] else { return [] }
    if let inner = saved[chain: target + "-RULES"] { return inner.rules.map(Self.shown) }
    var rules = outer.rules
    if policy == "DROP", rules.last?.bytes.elementsEqual("-A \(target) -j DROP".utf8) == true { rules.removeLast() }
    return rules.map(Self.shown)
  }

  private static func shown(_ rule: Rule) -> Rule { Rule(text: OwnedNames.shown(line: rule.text), line: rule.line) }
}

/// Where a rule jumps to.
enum RuleTarget {
  static func name(of rule: Rule) -> String? {
    guard let words = try? rule.words() else { return nil }
    for (option, value) in zip(words, words.dropFirst())
    where !option.isQuoted && (option.says("-j") || option.says("-g") || option.says("--jump") || option.says("--goto"))
    {
      return value.text
    }
    return nil
  }
}
