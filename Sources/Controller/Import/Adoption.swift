package import Core
internal import Policy
package import Ruleset

/// A policy that makes rules intended which somebody put in by hand, beside the policies there are.
package struct Adoption: Sendable {
  /// The whole file.
  package let yaml: String
  /// Of both families together.
  package let typedRules: Int
  package let rawRules: Int

  package struct Naming: Sendable {
    package let name: String
    package let appliesTo: String
    package let description: String
    /// Where the policy will stand, beside what others there have in common.
    package let directory: String?

    package init(name: String, appliesTo: String, description: String, directory: String?) {
      self.name = name
      self.appliesTo = appliesTo
      self.description = description
      self.directory = directory
    }
  }

  /// What was written is compiled, and has to hold every rule in the order they were found in.
  /// - Returns: nil when there is nothing that a policy could say.
  package static func make(of added: AddedRules, _ naming: Naming) throws(Diagnostics) -> Adoption? {
    guard !added.isEmpty else { return nil }
    var detail = PolicyWriter.Detail()
    var missing: Set<String> = []
    for attempt in 0..<3 {
      var writer = AdoptionWriter(added, naming, detail)
      writer.write()
      missing = try self.missing(added, writer.text, naming)
      if missing.isEmpty {
        return Adoption(
          yaml: writer.text, typedRules: added.count - writer.rawRules, rawRules: writer.rawRules)
      }
      detail.namesServices = false
      if attempt > 0 { detail.rawChains = missing }
    }
    throw Diagnostics(
      Diagnostic(
        SourceLocation(file: PolicySet.draftPath(name: naming.name, directory: naming.directory), line: 1, column: 1),
        "the policy would not hold every rule that was added in \(missing.sorted().joined(separator: ", "))",
        hint: "write the rules by hand: 'portcullis drift' shows them"))
  }

  /// Tables and chains in which the compiled policy lacks a rule.
  private static func missing(
    _ added: AddedRules, _ yaml: String, _ naming: Naming
  ) throws(Diagnostics) -> Set<String> {
    let set = try PolicySet.drafted(Array(yaml.utf8), name: naming.name, directory: naming.directory)
    let compiled = try PolicyCompiler.drafted(set).rules
    var missing: Set<String> = []
    for family in Family.allCases {
      let back = try Ruleset.parse(policy: compiled[family], file: naming.name, family: family)
      for table in added.rulesets[family].tables {
        for chain in table.chains {
          var rest = (back[table: table.name]?[chain: chain.name]?.rules ?? [])[...]
          for rule in chain.rules {
            guard let index = rest.firstIndex(of: rule) else {
              missing.insert(PolicyWriter.Detail.key(table.name, chain.name))
              break
            }
            rest = rest[(index + 1)...]
          }
        }
      }
    }
    return missing
  }
}

/// The rules that a difference adds, as a policy would say them, and what no policy can say of it.
package struct AddedRules: Sendable {
  /// Chains that only hold what was added.
  let rulesets: PerFamily<Ruleset>
  /// In words for an operator, safe to print.
  package let leftOut: [String]

  package var isEmpty: Bool { count == 0 && rulesets.ipv4.tables.isEmpty && rulesets.ipv6.tables.isEmpty }
  var count: Int { rulesets.ipv4.ruleCount + rulesets.ipv6.ruleCount }

  /// Lines. Nobody puts in more by hand.
  package static let most = 1000

  /// - Throws: for more than `most` lines.
  package init(_ diffs: PerFamily<RulesetDiff>) throws(Failure) {
    let lines = diffs.ipv4.added + diffs.ipv6.added
    guard lines <= Self.most else {
      throw Failure(
        "adopt what differs", because: Reason("\(lines) lines were added, more than the \(Self.most) that are adopted"),
        hint: "'portcullis import' makes policies of whole rulesets", kind: .refused)
    }
    var leftOut: [String] = []
    rulesets = diffs.map { family, diff in
      var tables: [RuleTable] = []
      var declared: Set<String> = []
      func chain(_ name: String, in table: String, _ change: (inout RuleChain) -> Void) {
        let index = tables.firstIndex { $0.name == table } ?? tables.count
        if index == tables.count { tables.append(RuleTable(name: table)) }
        let position = tables[index].chains.firstIndex { $0.name == name } ?? tables[index].chains.count
        if position == tables[index].chains.count { tables[index].chains.append(RuleChain(name: name, policy: nil)) }
        change(&tables[index].chains[position])
      }
      for line in diff.lines where line.kind == .added {
        guard let found = line.chain else { continue }
        let name = OwnedNames.shown(found)
        let key = "\(line.table) \(name)"
        let isBuiltIn = BuiltInChains.chains(of: line.table)?.contains(name) ?? false
        guard let knownTable = BuiltInChains.chains(of: line.table), !knownTable.isEmpty else {
          if line.position != nil { leftOut.append("\(line.table) \(SafeText.escape(found)): only rules are adopted") }
          continue
        }
        if line.position == nil {
          if isBuiltIn {
            if !line.text.hasSuffix(" ACCEPT") || diff.declares(found, in: line.table, .removed) {
              leftOut.append("\(family.words) \(line.text): defaults are said below `defaults` of one policy")
            }
          } else if !diff.declares(found, in: line.table, .removed) {
            declared.insert(key)
            chain(name, in: line.table) { _ in }
          }
          continue
        }
        if let why = Self.refusal(of: line, isBuiltIn: isBuiltIn, isDeclared: declared.contains(key)) {
          leftOut.append("\(family.words) \(line.text): \(why)")
          continue
        }
        let text = OwnedNames.shown(line: Array(line.text.utf8))
        chain(name, in: line.table) { $0.rules.append(Rule(text: text)) }
      }
      return RuleSpelling.normal(Ruleset(tables: tables), family)
    }
    var said: Set<String> = []
    self.leftOut = leftOut.filter { said.insert($0).inserted }
  }

  /// Why a policy cannot say this rule; nil when it can.
  private static func refusal(of line: DiffLine, isBuiltIn: Bool, isDeclared: Bool) -> String? {
    let rule = Rule(text: Array(line.text.utf8))
    if let target = RuleTarget.name(of: rule), OwnedNames.isOurs(target), line.chain.map(OwnedNames.isOurs) == false {
      return "our own hook; 'portcullis drift repair' puts it where it belongs"
    }
    if line.text.contains("\\u{") || !line.text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) {
      return "a policy is plain ASCII"
    }
    let words = line.text.split(separator: " ")
    if zip(words, words.dropFirst()).contains(where: { $0 == "--match-set" && SetName.isOurs(String($1)) }) {
      return "it names an ipset of ours, which policies call otherwise"
    }
    if !isBuiltIn, !isDeclared { return "the chain is another policy's: add the rule there" }
    return nil
  }
}

extension RulesetDiff {
  fileprivate func declares(_ chain: String, in table: String, _ kind: DiffLine.Kind) -> Bool {
    lines.contains { $0.kind == kind && $0.position == nil && $0.table == table && $0.chain == chain }
  }
}
