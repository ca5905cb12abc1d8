internal import Core
internal import Lint
internal import Ruleset

/// The file of one policy.
struct PolicyWriter {
  /// How much is said in the language's words.
  struct Detail {
    var namesServices = true
    /// By table and chain: those whose rules are all written as they are.
    var rawChains: Set<String> = []

    static func key(_ table: String, _ chain: String) -> String { "\(table) \(chain)" }
  }

  private let rules: ImportedRules
  private let options: ImportOptions
  private let detail: Detail
  private let families: [Family]
  private(set) var text = ""
  private(set) var rawRules = 0

  init(_ rules: ImportedRules, _ options: ImportOptions, _ detail: Detail) {
    self.rules = rules
    self.options = options
    self.detail = detail
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
    let shared = filterChains.filter { policy($0, .ipv4) == policy($0, families[families.count - 1]) }
    if !shared.isEmpty {
      line("defaults: " + YAMLText.mapping(shared.map { ($0.lowercased(), policy($0, .ipv4).lowercased()) }))
    }
    for chain in filterChains { section(of: chain) }
    network()
    writeRaw(declaring: Set(filterChains).subtracting(shared))
  }

  private var filterChains: [String] { BuiltInChains.chains(of: "filter") ?? [] }
  private var translatingChains: [String] { ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] }

  private func policy(_ chain: String, _ family: Family) -> String {
    rules.rulesets[family][table: "filter"]?[chain: chain]?.policy ?? "ACCEPT"
  }

  // MARK: Sections

  private mutating func items(of table: String, _ chain: String) -> [String] {
    let plan = SectionPlan(
      PerFamily { rules.rulesets[$0][table: table]?[chain: chain]?.rules ?? [] }, table: table, chain: chain,
      families: families, isTyped: !detail.rawChains.contains(Detail.key(table, chain)))
    rawRules += plan.rawRules
    return plan.items.map { $0.text(services: detail.namesServices) }
  }

  private mutating func section(of chain: String) {
    let leavesToOthers = chain == "FORWARD" && rules.forwardsForeign && options.mode != "exclusive"
    if leavesToOthers {
      line("# What these rules do not decide is left to those who forward here already.")
      line("forward: foreign")
    }
    list(chain.lowercased() + (leavesToOthers ? "_last" : ""), items(of: "filter", chain))
  }

  private mutating func network() {
    list("nat", translatingChains.flatMap { items(of: "nat", $0) })
  }

  private mutating func list(_ name: String, _ items: [String]) {
    guard !items.isEmpty else { return }
    line("\(name):")
    for item in items { line("  " + item) }
  }

  // MARK: Raw

  private mutating func writeRaw(declaring undecided: Set<String>) {
    var isBegun = false
    for family in families {
      var lines: [String] = []
      // A family without the table accepts.
      if !undecided.isEmpty, rules.rulesets[family][table: "filter"] == nil {
        lines = ["*filter"] + filterChains.filter(undecided.contains).map { ":\($0) ACCEPT" } + ["COMMIT"]
      }
      for table in rules.rulesets[family].tables { lines += rawLines(of: table, declaring: undecided) }
      guard !lines.isEmpty else { continue }
      if !isBegun { line("raw:") }
      isBegun = true
      line("  \(family.rawValue): |")
      for raw in lines { line("    " + raw) }
    }
  }

  /// What no section is for: own chains, other tables, and defaults that are another one in each family.
  private mutating func rawLines(of table: RuleTable, declaring undecided: Set<String>) -> [String] {
    let sections = table.name == "filter" ? filterChains : table.name == "nat" ? translatingChains : []
    var declarations: [String] = []
    var lines: [String] = []
    var isSaid = false
    for chain in table.chains {
      let isDeclared = table.name != "filter" || chain.policy == nil || undecided.contains(chain.name)
      if isDeclared { declarations.append(":\(chain.name) \(chain.policy ?? "-")") }
      if chain.policy == nil || isDeclared && (table.name == "filter" || chain.policy == "DROP") { isSaid = true }
      if !sections.contains(chain.name) { lines += chain.rules.map { String(decoding: $0.bytes, as: UTF8.self) } }
    }
    rawRules += lines.count
    guard isSaid || !lines.isEmpty else { return [] }
    return ["*\(table.name)"] + declarations + lines + ["COMMIT"]
  }
}

extension SectionPlan.Item {
  func text(services: Bool) -> String {
    switch said {
    case .typed(let rule): rule.item(only: only, services: services)
    case .balance(let rule, let balance): rule.item(only: only, services: services, balance: balance)
    case .word(let verb, let name): "- \(verb): \(name)"
    case .raw(let text):
      "- raw: " + (only.map { YAMLText.mapping([($0.rawValue, YAMLText.quoted(text))]) } ?? YAMLText.quoted(text))
    }
  }
}
