package import Core
internal import Lint
package import Ruleset

/// A policy made of rules that were there: what compiles to them again.
package struct ImportedPolicy: Sendable {
  package let name: String
  /// The whole file.
  package let yaml: String
  /// What it has to compile to, as written for the whole of its tables.
  package let rulesets: PerFamily<Ruleset>
  package let leftOut: [LeftOut]
  /// What whoever imports should know.
  package let notes: [String]
  /// Of both families together.
  package let typedRules: Int
  package let rawRules: Int
}

/// Writes rules in the policy language: typed where it can say exactly them, raw where it cannot.
package enum Importer {
  package static func run(
    _ saved: PerFamily<[UInt8]?>, _ options: ImportOptions
  ) throws(Diagnostics) -> ImportedPolicy {
    policy(of: try ImportedRules(saved, options), options)
  }

  package static func policy(of rules: ImportedRules, _ options: ImportOptions) -> ImportedPolicy {
    var writer = PolicyWriter(rules, options)
    writer.write()
    let all = rules.rulesets.ipv4.ruleCount + rules.rulesets.ipv6.ruleCount
    return ImportedPolicy(
      name: options.name, yaml: writer.text, rulesets: rules.rulesets, leftOut: rules.leftOut, notes: rules.notes,
      typedRules: all - writer.rawRules, rawRules: writer.rawRules)
  }
}

/// The file of one policy.
private struct PolicyWriter {
  private let rules: ImportedRules
  private let options: ImportOptions
  private let families: [Family]
  private(set) var text = ""
  private(set) var rawRules = 0
  /// Of each table: the chains whose rules, or the rest of them, have to be raw.
  private var raw = PerFamily<[String: [String: [Rule]]]>(ipv4: [:], ipv6: [:])

  init(_ rules: ImportedRules, _ options: ImportOptions) {
    self.rules = rules
    self.options = options
    families = rules.closesIPv6 ? [.ipv4] : Family.allCases
  }

  private mutating func line(_ text: String) { self.text += text + "\n" }

  mutating func write() {
    if let modeline = options.modeline { line(modeline) }
    line("policy: \(YAMLText.scalar(options.name))")
    if let description = options.description { line("description: \(YAMLText.quoted(description))") }
    line("applies_to: \(YAMLText.scalar(options.appliesTo))")
    if let mode = options.mode { line("mode: \(YAMLText.scalar(mode))") }
    if rules.closesIPv6 { line("ipv6: drop-all") }
    line("# Answers are accepted where a rule says so, and nowhere else.")
    line("established: explicit")
    let defaults = self.defaults
    if let defaults {
      line("defaults: " + YAMLText.mapping(defaults.map { ($0.lowercased(), $1.lowercased()) }))
    }
    for chain in BuiltInChains.chains(of: "filter") ?? [] { section(of: chain, isTyped: defaults != nil) }
    network()
    writeRaw(declaresFilter: defaults == nil)
  }

  // MARK: Sections

  /// The policies of the filter table, when they are the same in both families: the language says them once.
  private var defaults: [(key: String, value: String)]? {
    let all = families.map { family in
      (BuiltInChains.chains(of: "filter") ?? []).map { name in
        rules.rulesets[family][table: "filter"]?[chain: name]?.policy ?? "ACCEPT"
      }
    }
    guard let first = all.first, all.allSatisfy({ $0 == first }) else { return nil }
    return Array(zip(BuiltInChains.chains(of: "filter") ?? [], first)).map { (key: $0, value: $1) }
  }

  private func chainRules(_ table: String, _ chain: String) -> PerFamily<[Rule]> {
    PerFamily { rules.rulesets[$0][table: table]?[chain: chain]?.rules ?? [] }
  }

  private mutating func section(of chain: String, isTyped: Bool) {
    let leavesToOthers = chain == "FORWARD" && rules.forwardsForeign && options.mode != "exclusive"
    let all = chainRules("filter", chain)
    let plan =
      isTyped && !leavesToOthers
      ? SectionPlan(all, table: "filter", chain: chain, hasLast: true, families: families) : SectionPlan(raw: all)
    let name = chain.lowercased()
    if leavesToOthers {
      line("# What these rules do not decide is left to those who forward here already.")
      line("forward: foreign")
    }
    list(name, plan.first)
    list(name + "_last", plan.last)
    keep(plan.raw, "filter", chain)
  }

  private mutating func list(_ name: String, _ items: [SectionPlan.Item]) {
    guard !items.isEmpty else { return }
    line("\(name):")
    for item in items { line("  " + item.rule.item(only: item.only)) }
  }

  private mutating func network() {
    let plan = SectionPlan(
      chainRules("nat", "POSTROUTING"), table: "nat", chain: "POSTROUTING", hasLast: false, families: families)
    list("nat", plan.first)
    keep(plan.raw, "nat", "POSTROUTING")
  }

  private mutating func keep(_ rules: PerFamily<[Rule]>, _ table: String, _ chain: String) {
    for family in Family.allCases where !rules[family].isEmpty {
      raw[family][table, default: [:]][chain] = rules[family]
    }
  }

  // MARK: Raw

  private mutating func writeRaw(declaresFilter: Bool) {
    var isBegun = false
    for family in families {
      var lines: [String] = []
      for table in rules.rulesets[family].tables {
        lines += rawLines(of: table, family, declaresBuiltIn: table.name != "filter" || declaresFilter)
      }
      // A policy of raw text alone says something of both families.
      if declaresFilter, lines.isEmpty {
        lines = ["*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", "COMMIT"]
      }
      guard !lines.isEmpty else { continue }
      if !isBegun { line("raw:") }
      isBegun = true
      line("  \(family.rawValue): |")
      for raw in lines { line("    " + raw) }
    }
  }

  private mutating func rawLines(of table: RuleTable, _ family: Family, declaresBuiltIn: Bool) -> [String] {
    var declarations: [String] = []
    var lines: [String] = []
    // Chains that no section is for are raw as a whole.
    let sections =
      table.name == "filter" ? BuiltInChains.chains(of: "filter") ?? [] : table.name == "nat" ? ["POSTROUTING"] : []
    for chain in table.chains {
      let kept = sections.contains(chain.name) ? raw[family][table.name]?[chain.name] ?? [] : chain.rules
      if chain.policy == nil || declaresBuiltIn { declarations.append(":\(chain.name) \(chain.policy ?? "-")") }
      lines += kept.map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    rawRules += lines.count
    let isSaid = declaresBuiltIn && table.chains.contains { $0.policy == "DROP" }
    guard !lines.isEmpty || isSaid || table.chains.contains(where: { $0.policy == nil }) else { return [] }
    return ["*\(table.name)"] + declarations + lines + ["COMMIT"]
  }
}
