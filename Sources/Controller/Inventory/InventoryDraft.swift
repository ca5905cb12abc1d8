internal import Core

/// Groups and hosts as the sources name them, one after the other: what Ansible calls inventory data, with its rules
/// about who comes first.
struct InventoryDraft {
  static let groupLimit = 20_000

  struct Group {
    let name: String
    var layer = VariableLayer()
    /// In the order they were named, each once, and where.
    var children: [(group: Int, location: SourceLocation)] = []
    var parents: [Int] = []
    /// In the order they were named, each once.
    var hosts: [Int] = []
    var hostSet: Set<Int> = []

    var priority: Int { layer.groupPriority ?? 1 }
  }

  struct Host {
    let id: HostID
    let location: SourceLocation
    var layer = VariableLayer()
    /// Direct ones.
    var groups: Set<Int> = []
  }

  static let all = 0
  static let ungrouped = 1

  /// What all sources together may name.
  var hostLimit = HostInventory.hostLimit
  var problems = Problems()
  var warnings: [Diagnostic] = []
  var reader = SettingsReader()
  /// In the order they were first named.
  private(set) var groups: [Group] = [Group(name: "all"), Group(name: "ungrouped")]
  private(set) var hosts: [Host] = []
  private var groupIndex = ["all": 0, "ungrouped": 1]
  private var hostIndex: [String: Int] = [:]
  private var links: Set<[Int]> = []

  init() { link(parent: Self.all, child: Self.ungrouped, SourceLocation(file: "", line: 1, column: 1)) }

  func index(ofGroup name: String) -> Int? { groupIndex[name] }
  func index(ofHost name: String) -> Int? { hostIndex[name] }

  /// Nil, and a problem, for what is no name.
  mutating func group(_ name: String, at location: SourceLocation) -> Int? {
    if let known = groupIndex[name] { return known }
    guard HostID(name) != nil else {
      problems.add(
        location, "\(quoted(name)) is no group name",
        hint: "letters, digits, '.', '_' and '-', not beginning with '-' or '.'")
      return nil
    }
    guard groups.count < Self.groupLimit else {
      problems.add(location, "the inventory holds more than \(Self.groupLimit) groups")
      return nil
    }
    groupIndex[name] = groups.count
    groups.append(Group(name: name))
    return groups.count - 1
  }

  mutating func link(parent: Int, child: Int, _ location: SourceLocation) {
    guard links.insert([parent, child]).inserted else { return }
    groups[parent].children.append((child, location))
    groups[child].parents.append(parent)
  }

  /// Expands what stands where a host is named. Nil, and a problem, where that cannot be done.
  mutating func pattern(_ text: String, at location: SourceLocation) -> HostPattern? {
    do throws(Reason) {
      return try HostPattern(text, limit: hostLimit)
    } catch {
      problems.add(location, "\(quoted(text)): \(error.description)")
      return nil
    }
  }

  /// Names a host, for the first time or once more. A port counts only the first time.
  mutating func host(_ name: String, in group: Int, port: UInt16? = nil, at location: SourceLocation) -> Int? {
    let index: Int
    if let known = hostIndex[name] {
      index = known
    } else {
      guard let id = HostID(name) else {
        problems.add(location, "\(quoted(name)) is no host name", hint: Self.hint(forHostName: name))
        return nil
      }
      guard hosts.count < hostLimit else {
        problems.add(location, "the inventory holds more than \(hostLimit) hosts")
        return nil
      }
      index = hosts.count
      hostIndex[name] = index
      hosts.append(Host(id: id, location: location))
      if let port {
        let node = YAMLNode(.integer(Int(port)), at: location)
        let variable = RawVariable(name: "ansible_port", location: location, node: node)
        reader.read(variable, .host, into: &hosts[index].layer)
      }
    }
    hosts[index].groups.insert(group)
    if groups[group].hostSet.insert(index).inserted { groups[group].hosts.append(index) }
    return index
  }

  mutating func set(_ variable: RawVariable, ofGroup group: Int) {
    guard isName(variable) else { return }
    reader.read(variable, .group, into: &groups[group].layer)
  }

  /// Where a group has the host's name, Ansible gives the variable to the group.
  mutating func set(_ variable: RawVariable, ofHost host: Int) {
    guard isName(variable) else { return }
    if let group = groupIndex[hosts[host].id.description] { return set(variable, ofGroup: group) }
    reader.read(variable, .host, into: &hosts[host].layer)
  }

  private mutating func isName(_ variable: RawVariable) -> Bool {
    guard variable.name.isEmpty else { return true }
    problems.add(variable.location, "a variable without a name")
    return false
  }

  private static func hint(forHostName name: String) -> String {
    if NumericAddress(name) != nil { return "give the host a name, and the address as ansible_host below it" }
    if let colon = name.lastIndex(of: ":"), Int(name[name.index(after: colon)...]) != nil {
      return "the port goes into ansible_port below the name"
    }
    return "letters, digits, '.', '_' and '-', not beginning with '-' or '.'"
  }

  // MARK: After all sources

  /// Groups that nobody named as a child are children of `all`.
  mutating func adoptOrphans() {
    let nowhere = SourceLocation(file: "", line: 1, column: 1)
    for group in groups.indices where group != Self.all && groups[group].parents.isEmpty {
      link(parent: Self.all, child: group, nowhere)
    }
  }

  /// Hosts of no other group are in `ungrouped`, and only those. Wants the groups to be a tree.
  mutating func sortOutUngrouped() {
    var removed: Set<Int> = []
    for host in hosts.indices {
      let others = hosts[host].groups.contains { $0 != Self.all && $0 != Self.ungrouped }
      if hosts[host].groups.contains(Self.ungrouped) {
        if others {
          hosts[host].groups.remove(Self.ungrouped)
          removed.insert(host)
        }
      } else if !others {
        hosts[host].groups.insert(Self.ungrouped)
        if groups[Self.ungrouped].hostSet.insert(host).inserted { groups[Self.ungrouped].hosts.append(host) }
      }
    }
    guard !removed.isEmpty else { return }
    groups[Self.ungrouped].hosts.removeAll { removed.contains($0) }
    groups[Self.ungrouped].hostSet.subtract(removed)
  }
}
