internal import Core
internal import Inventory
internal import Ruleset

/// Reads `- raw: …`: one rule as iptables-save prints it, at its place among typed items.
struct RawItemReader {
  static let verb = "raw"

  private let table: String
  /// The only one that such a rule may be in; nil for each that the table has built in.
  private let chain: String?
  /// Chains of its own that the policy's raw text declares.
  private let declared: PerFamily<[String]>

  init(table: String, chain: String? = nil, _ raw: PerFamily<RawRules?>) {
    self.table = table
    self.chain = chain
    declared = raw.map { _, raw in
      raw?.tables.first { $0.name == table }?.chains.filter { !$0.isBuiltIn }.map(\.name) ?? []
    }
  }

  /// A text is in both families; a mapping names those of each.
  func read(_ node: YAMLNode, _ problems: inout Problems) -> PerFamily<[UInt8]?>? {
    var rules = PerFamily<[UInt8]?>(ipv4: nil, ipv6: nil)
    if node.tag == nil, case .scalar = node.content { return inBoth(node, &problems) }
    guard let body = ItemReader.mapping(node, allowing: Family.allCases.map(\.rawValue), &problems) else { return nil }
    for family in Family.allCases {
      if let node = body[family.rawValue] { rules[family] = rule(node, family, &problems) }
    }
    if body["ipv4"] == nil, body["ipv6"] == nil {
      problems.add(node.location, "the item names no rule", hint: "such as - raw: \"-A \(example) -j DROP\"")
    }
    return rules
  }

  private func inBoth(_ node: YAMLNode, _ problems: inout Problems) -> PerFamily<[UInt8]?>? {
    var found = PerFamily<Problems>(ipv4: Problems(), ipv6: Problems())
    let rules = PerFamily<[UInt8]?> { rule(node, $0, &found[$0]) }
    switch (rules.ipv4, rules.ipv6) {
    case (_?, _?): return rules
    case (nil, nil): found.ipv4.all.forEach { problems.add($0) }
    case (nil, _?), (_?, nil):
      let family = rules.ipv4 == nil ? Family.ipv6 : .ipv4
      for problem in found[family == .ipv4 ? .ipv6 : .ipv4].all {
        problems.add(problem.location, problem.message, hint: "a rule of one family is {\(family.rawValue): \"…\"}")
      }
    }
    return nil
  }

  private var example: String { chain ?? "PREROUTING" }

  private func rule(_ node: YAMLNode, _ family: Family, _ problems: inout Problems) -> [UInt8]? {
    guard let text = node.string(&problems) else { return nil }
    let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    let chains = chain.map { [$0] } ?? BuiltInChains.chains(of: table) ?? []
    // A rule without a match and a verdict counts packets.
    guard words.count >= 2, words[0] == "-A", chains.contains(String(words[1])), !text.utf8.contains(10) else {
      problems.add(
        node.location, "\(quoted(text)) is no rule of \(chains.joined(separator: ", "))",
        hint: "write it as iptables-save prints it: -A \(example) -m mark --mark 0x1 -j DROP")
      return nil
    }
    let declarations = declared[family].map { ":\($0) - [0:0]\n" }.joined()
    do throws(Diagnostics) {
      let read = try Ruleset.parse(
        policy: Array("*\(table)\n\(declarations)\(text)\nCOMMIT\n".utf8), file: node.location.file, family: family,
        declaringBuiltInChains: true)
      return read[table: table]?[chain: String(words[1])]?.rules.first?.text
    } catch {
      for found in error.all { problems.add(node.location, found.message, hint: found.hint) }
      return nil
    }
  }
}
