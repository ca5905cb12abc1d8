package import Core

/// Hosts whose rules are the same, and their one policy.
package struct ImportGroup: Sendable {
  /// In the order they were given.
  package let hosts: [String]
  package let rules: ImportedRules

  /// Groups hosts by what is left of their rules, the largest group first.
  package static func make(_ hosts: [(host: String, rules: ImportedRules)]) -> [ImportGroup] {
    var members: [Digest: (first: Int, hosts: [String], rules: ImportedRules)] = [:]
    for (index, entry) in hosts.enumerated() {
      members[Digest(of: entry.rules.key), default: (index, [], entry.rules)].hosts.append(entry.host)
    }
    return members.values
      .sorted { ($1.hosts.count, $0.first) < ($0.hosts.count, $1.first) }
      .map { ImportGroup(hosts: $0.hosts, rules: $0.rules) }
  }

  /// Behind the name that all policies of an import have in common.
  package static let inventoryName = "groups.ini"

  /// A further inventory source, of the groups that the policies apply to. Hosts keep what other sources say of them.
  package static func inventory(_ policies: [(name: String, hosts: [String])]) -> String {
    "# A further inventory source: list it below inventory in portcullis.yaml, or give it with -i.\n"
      + policies.map { "[\($0.name)]\n" + $0.hosts.map { $0 + "\n" }.joined() }.joined(separator: "\n")
  }

  /// - Parameter options: with the name and the group of hosts of this one.
  package func policy(_ options: ImportOptions) throws(Diagnostics) -> ImportedPolicy {
    try Importer.policy(of: rules, options)
  }
}
