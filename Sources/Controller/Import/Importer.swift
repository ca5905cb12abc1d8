package import Core
internal import Policy
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
    try policy(of: try ImportedRules(saved, options), options)
  }

  /// What was written is compiled and compared with what was read. Where the two differ, less is said in the language's
  /// own words: first without the names of services, which the folder may have given other ports, then whole chains as
  /// they were read.
  package static func policy(
    of rules: ImportedRules, _ options: ImportOptions
  ) throws(Diagnostics) -> ImportedPolicy {
    var detail = PolicyWriter.Detail()
    var different: Set<String> = []
    for attempt in 0..<3 {
      var writer = PolicyWriter(rules, options, detail)
      writer.write()
      do throws(Diagnostics) {
        different = try differences(rules, writer.text, options)
      } catch {
        let file = PolicySet.draftPath(name: options.name, directory: options.directory)
        throw DraftPlaces(rules, options).moved(error, of: writer.text, in: file)
      }
      if different.isEmpty {
        let all = rules.rulesets.ipv4.ruleCount + rules.rulesets.ipv6.ruleCount
        return ImportedPolicy(
          name: options.name, yaml: writer.text, rulesets: rules.rulesets, leftOut: rules.leftOut, notes: rules.notes,
          typedRules: all - writer.rawRules, rawRules: writer.rawRules)
      }
      detail.namesServices = false
      if attempt > 0 { detail.rawChains = different }
    }
    let chains = different.sorted()
    throw Diagnostics(
      Diagnostic(
        DraftPlaces(rules, options).first(of: chains),
        "the policy would not compile to what was read in \(chains.joined(separator: ", "))",
        hint: "keep these rules in files beside a policy.yaml: rules: {ipv4: rules.v4, ipv6: rules.v6}"))
  }

  /// Tables and chains that would come back otherwise.
  private static func differences(
    _ rules: ImportedRules, _ yaml: String, _ options: ImportOptions
  ) throws(Diagnostics) -> Set<String> {
    let set = try PolicySet.drafted(Array(yaml.utf8), name: options.name, directory: options.directory)
    let compiled = try PolicyCompiler.drafted(set).rules
    var different: Set<String> = []
    for family in Family.allCases where family == .ipv4 || !rules.closesIPv6 {
      let back = try Ruleset.parse(policy: compiled[family], file: options.name, family: family)
      different.formUnion(rules.rulesets[family].chainsOtherThan(back))
    }
    return different
  }
}

extension Ruleset {
  /// A table that is not there does what one without rules does.
  fileprivate func chainsOtherThan(_ other: Ruleset) -> Set<String> {
    var different: Set<String> = []
    for (one, two) in [(self, other), (other, self)] {
      for table in one.declaringAllBuiltInChains().tables {
        for chain in table.chains {
          let counterpart = two[table: table.name]?[chain: chain.name]
          let isSame =
            counterpart.map { $0.policy == chain.policy && $0.rules == chain.rules }
            ?? (chain.policy == "ACCEPT" && chain.rules.isEmpty)
          if !isSame { different.insert(PolicyWriter.Detail.key(table.name, chain.name)) }
        }
      }
    }
    return different
  }
}
