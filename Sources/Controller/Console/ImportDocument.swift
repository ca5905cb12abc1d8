internal import Core
package import Import
internal import Inventory

/// What was imported, and what was not.
package struct ImportDocument: Document {
  package static let kind = "Import"

  package struct Policy: Encodable, Sendable {
    let policy: String
    let file: String
    /// None for rules from files.
    let hosts: [String]
    let typedRules: Int
    let rawRules: Int
    let leftOut: [LeftOut]
    let notes: [String]
  }

  package struct LeftOut: Encodable, Sendable {
    let owner: String
    let chains: [String]
    let rules: Int
  }

  let policies: [Policy]
  /// Hosts that could not be asked, and why.
  let failed: [String: String]
  /// By host.
  let warnings: [String: [String]]
  /// The inventory source that holds the groups the policies apply to.
  @ExplicitNull var inventory: String?

  package init(
    _ imported: [(policy: ImportedPolicy, hosts: [String])], files: [String], failed: [String: String],
    warnings: [String: [String]] = [:], inventory: String? = nil
  ) {
    self.warnings = warnings
    self.inventory = inventory
    policies = zip(imported, files).map { entry, file in
      Policy(
        policy: entry.policy.name, file: file, hosts: entry.hosts, typedRules: entry.policy.typedRules,
        rawRules: entry.policy.rawRules,
        leftOut: entry.policy.leftOut.map {
          LeftOut(owner: $0.owner.rawValue, chains: $0.chains.map { SafeText.escape($0) }, rules: $0.rules)
        }, notes: entry.policy.notes.map { SafeText.escape($0) })
    }
    self.failed = failed
  }

  private struct HostWarnings: Encodable {
    let name: String
    let warnings: [String]
  }

  package var names: [String] { policies.map(\.file) }
  package var records: [any Encodable] {
    Records.each("policy", policies)
      + Records.each("failed", failed.sorted { $0.key < $1.key }.map { SilentHost(name: $0.key, reason: $0.value) })
      + Records.each(
        "warnings", warnings.sorted { $0.key < $1.key }.map { HostWarnings(name: $0.key, warnings: $0.value) })
  }
  package var summary: [String: Int] {
    ["policies": policies.count, "hosts": policies.reduce(0) { $0 + $1.hosts.count }, "failed": failed.count]
  }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    let hosts = policies.reduce(0) { $0 + $1.hosts.count }
    if hosts > 0 {
      let rulesets = policies.count == 1 ? "1 ruleset" : "\(policies.count) rulesets"
      text += "\(hosts) \(hosts == 1 ? "host is" : "hosts are") \(rulesets)\n"
    }
    for policy in policies {
      let hosts = policy.hosts.isEmpty ? "" : "   \(Folding.fold(policy.hosts))"
      text += Paint.heading.on(SafeText.escape(policy.file), style) + hosts
      text += "   \(policy.typedRules) \(policy.typedRules == 1 ? "rule" : "rules") typed, \(policy.rawRules) raw\n"
      for left in policy.leftOut {
        text +=
          "  left out: \(left.owner), \(left.rules) rules, chains \(left.chains.prefix(6).joined(separator: ", "))"
        text += left.chains.count > 6 ? " and \(left.chains.count - 6) more\n" : "\n"
      }
      for note in policy.notes { text += "  note: \(note)\n" }
    }
    if let inventory {
      text +=
        "\(SafeText.escape(inventory))   the groups they apply to: a further source below inventory in portcullis.yaml\n"
    }
    let told = warnings.sorted { $0.key < $1.key }.flatMap { host, words in words.map { (host, $0) } }
    text += ReasonLines.text(told, style)
    return text + ReasonLines.text(failed.sorted { $0.key < $1.key }.map { ($0, $1) }, style)
  }
}
