internal import Core
internal import Ruleset

/// The file of a policy that only adds rules: what others say of defaults and answers stays theirs.
struct AdoptionWriter {
  private let added: AddedRules
  private let naming: Adoption.Naming
  private let detail: PolicyWriter.Detail
  private(set) var text = ""
  private(set) var rawRules = 0

  init(_ added: AddedRules, _ naming: Adoption.Naming, _ detail: PolicyWriter.Detail) {
    self.added = added
    self.naming = naming
    self.detail = detail
  }

  private mutating func line(_ text: String) { self.text += text + "\n" }

  mutating func write() {
    line("policy: \(YAMLText.scalar(naming.name))")
    line("description: \(YAMLText.quoted(naming.description))")
    line("applies_to: \(YAMLText.scalar(naming.appliesTo))")
    for chain in Self.filterChains { list(chain.lowercased(), items(of: "filter", chain)) }
    list("nat", Self.translatingChains.flatMap { items(of: "nat", $0) })
    writeRaw()
  }

  private static let filterChains = BuiltInChains.chains(of: "filter") ?? []
  private static let translatingChains = BuiltInChains.chains(of: "nat") ?? []

  private mutating func items(of table: String, _ chain: String) -> [String] {
    let plan = SectionPlan(
      PerFamily { added.rulesets[$0][table: table]?[chain: chain]?.rules ?? [] }, table: table, chain: chain,
      families: Family.allCases, isTyped: !detail.rawChains.contains(PolicyWriter.Detail.key(table, chain)))
    rawRules += plan.rawRules
    return plan.items.map { $0.text(services: detail.namesServices) }
  }

  private mutating func list(_ name: String, _ items: [String]) {
    guard !items.isEmpty else { return }
    line("\(name):")
    for item in items { line("  " + item) }
  }

  private mutating func writeRaw() {
    var isBegun = false
    for family in Family.allCases {
      let lines = added.rulesets[family].tables.flatMap { rawLines(of: $0) }
      guard !lines.isEmpty else { continue }
      if !isBegun { line("raw:") }
      isBegun = true
      line("  \(family.rawValue): |")
      for raw in lines { line("    " + raw) }
    }
  }

  /// Own chains, and tables that have no section.
  private mutating func rawLines(of table: RuleTable) -> [String] {
    let sections =
      table.name == "filter" ? Self.filterChains : table.name == "nat" ? Self.translatingChains : []
    let builtIn = BuiltInChains.chains(of: table.name) ?? []
    var declarations: [String] = []
    var lines: [String] = []
    for chain in table.chains where !sections.contains(chain.name) {
      declarations.append(":\(chain.name) \(builtIn.contains(chain.name) ? "ACCEPT" : "-")")
      lines += chain.rules.map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    rawRules += lines.count
    return declarations.isEmpty ? [] : ["*\(table.name)"] + declarations + lines + ["COMMIT"]
  }
}
