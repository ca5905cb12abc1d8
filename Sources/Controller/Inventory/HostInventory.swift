package import Core

/// The fleet as its owners wrote it down for Ansible: YAML and INI files, folders, `group_vars` and `host_vars`,
/// executable inventories, read without Ansible (docs/inventory.md).
///
/// Nothing is evaluated: a template in a variable that we use is an error, because a half-read inventory would be a
/// half-protected fleet.
package struct HostInventory: Sendable {
  /// More hosts than one controller can serve.
  package static let hostLimit = 200_000

  /// In the order in which Ansible lists all hosts.
  package let hosts: [InventoryHost]
  /// By name in ASCII order. `all` and `ungrouped` are always there.
  package let groups: [InventoryGroup]
  /// What was understood but is likely not meant.
  package let warnings: [Diagnostic]
  /// Assignments of `ansible_*` variables that mean nothing to us.
  package let ignoredVariables: Int

  /// Indices of the hosts and groups, in the order the sources first name them.
  let hostsAsNamed: [Int]
  let groupsAsNamed: [Int]
  private let hostIndex: [String: Int]
  private let groupIndex: [String: Int]

  init(
    hosts: [InventoryHost], hostsAsNamed: [Int], groups: [InventoryGroup], groupsAsNamed: [Int],
    warnings: [Diagnostic], ignoredVariables: Int
  ) {
    self.hosts = hosts
    self.hostsAsNamed = hostsAsNamed
    self.groups = groups
    self.groupsAsNamed = groupsAsNamed
    self.warnings = warnings
    self.ignoredVariables = ignoredVariables
    hostIndex = Dictionary(uniqueKeysWithValues: hosts.enumerated().map { ($1.id.description, $0) })
    groupIndex = Dictionary(uniqueKeysWithValues: groups.enumerated().map { ($1.name, $0) })
  }

  /// Reads one file or folder. An inventory without hosts is no error; a folder without files is one.
  package static func load(_ path: String) throws(Diagnostics) -> HostInventory { try load(sources: [path]) }

  /// Reads several sources as one inventory, later ones over earlier ones, as `ansible -i a -i b` does. A source is a
  /// file, a folder (read in ASCII order), a program, or a list of hosts with a comma in it.
  package static func load(
    sources: [String], running programs: InventoryPrograms = .refused
  ) throws(Diagnostics) -> HostInventory {
    var draft = InventoryDraft()
    var reader = InventorySources(programs: programs)
    for source in sources { reader.read(source, into: &draft) }
    var builder = InventoryBuilder(draft)
    builder.readVariableFiles(beside: reader.folders)
    return try builder.build()
  }

  /// The same from the text of one YAML file.
  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> HostInventory {
    var draft = InventoryDraft()
    try InventorySources.readYAML(bytes, file, into: &draft)
    return try InventoryBuilder(draft).build()
  }

  package func host(named name: String) -> InventoryHost? { hostIndex[name].map { hosts[$0] } }
  package func group(named name: String) -> InventoryGroup? { groupIndex[name].map { groups[$0] } }
  func index(ofHost name: String) -> Int? { hostIndex[name] }
}

/// A group and what is in it.
package struct InventoryGroup: Hashable, Sendable {
  package let name: String
  /// 0 for `all`; for others one more than that of their deepest parent.
  package let depth: Int
  /// Direct ones, in the order they were named.
  package let children: [String]
  /// Indices into the inventory's hosts of those named in the group itself, in the order they were named.
  package let ownHostIndices: [Int]
  /// Indices of all hosts in it or below it, in Ansible's order: its own, then its children's, then theirs.
  package let hostIndices: [Int]
}
