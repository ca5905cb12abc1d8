internal import Core

/// Collects groups and hosts from the files, then works out depth, membership and variables.
struct InventoryBuilder {
  private struct Group {
    let name: String
    var settings = HostSettings()
    /// Child name and where it was named, in order of first naming.
    var children: [(name: String, location: SourceLocation)] = []
    var parents: [String] = []
    var hosts: [Int] = []
    var hostSet: Set<Int> = []
  }

  private struct Host {
    let id: HostID
    let location: SourceLocation
    var settings = HostSettings()
    var groups: Set<String> = []
  }

  var problems = Problems()
  var warnings: [Diagnostic] = []
  private var reader = SettingsReader()
  private var groups: [String: Group] = ["all": Group(name: "all"), "ungrouped": Group(name: "ungrouped")]
  private var hosts: [Host] = []
  private var hostIndex: [String: Int] = [:]

  // MARK: Reading

  mutating func add(_ root: YAMLNode) {
    guard let entries = root.entries(&problems) else { return }
    for entry in entries { readGroup(entry, parent: nil) }
  }

  /// As deep as the file, which StrictYAML bounds.
  private mutating func readGroup(_ entry: YAMLNode.Entry, parent: String?) {
    let name = entry.key
    guard HostID(name) != nil else {
      problems.add(
        entry.keyLocation, "\(quoted(name)) is no group name",
        hint: "letters, digits, '.', '_' and '-', not beginning with '-' or '.'")
      return
    }
    if groups[name] == nil { groups[name] = Group(name: name) }
    if let parent, !groups[parent]!.children.contains(where: { $0.name == name }) {
      groups[parent]!.children.append((name, entry.keyLocation))
      groups[name]!.parents.append(parent)
    }
    guard !entry.value.isNull, let body = entry.value.mapping(allowing: ["hosts", "vars", "children"], &problems) else {
      return
    }
    if let vars = body["vars"], !vars.isNull, let entries = vars.entries(&problems) {
      groups[name]!.settings = groups[name]!.settings.overlaid(by: reader.read(entries, ofGroup: true))
    }
    if let hosts = body["hosts"], !hosts.isNull, let entries = hosts.entries(&problems) {
      for host in entries { readHost(host, in: name) }
    }
    if let children = body["children"], !children.isNull, let entries = children.entries(&problems) {
      for child in entries { readGroup(child, parent: name) }
    }
  }

  private mutating func readHost(_ entry: YAMLNode.Entry, in group: String) {
    let names: [String]
    do throws(Reason) {
      names = try HostRange.expand(entry.key, limit: HostInventory.hostLimit)
    } catch {
      problems.add(entry.keyLocation, "\(quoted(entry.key)): \(error.description)")
      return
    }
    var settings: HostSettings?
    if !entry.value.isNull {
      guard let entries = entry.value.entries(&problems) else { return }
      settings = reader.read(entries, ofGroup: false)
    }
    for name in names {
      guard let id = HostID(name) else {
        problems.add(entry.keyLocation, "\(quoted(name)) is no host name", hint: Self.hint(forHostName: name))
        return
      }
      let index: Int
      if let known = hostIndex[name] {
        index = known
      } else {
        guard hosts.count < HostInventory.hostLimit else {
          problems.add(entry.keyLocation, "the inventory holds more than \(HostInventory.hostLimit) hosts")
          return
        }
        index = hosts.count
        hostIndex[name] = index
        hosts.append(Host(id: id, location: entry.keyLocation))
      }
      if let settings { hosts[index].settings = hosts[index].settings.overlaid(by: settings) }
      hosts[index].groups.insert(group)
      if groups[group]!.hostSet.insert(index).inserted { groups[group]!.hosts.append(index) }
    }
  }

  private static func hint(forHostName name: String) -> String {
    if NumericAddress(name) != nil { return "give the host a name, and the address as ansible_host below it" }
    if let colon = name.lastIndex(of: ":"), Int(name[name.index(after: colon)...]) != nil {
      return "the port goes into ansible_port below the name"
    }
    return "letters, digits, '.', '_' and '-', not beginning with '-' or '.'"
  }

  // MARK: Building

  func build() throws(Diagnostics) -> HostInventory {
    var problems = problems
    reader.problems.all.forEach { problems.add($0) }
    var groups = groups
    adoptOrphans(&groups)
    let order = topologicalOrder(of: groups, &problems)
    // What follows walks the tree: it must be one.
    try problems.throwIfAny()

    var depths: [String: Int] = [:]
    for name in order { depths[name] = (groups[name]!.parents.compactMap { depths[$0] }.max() ?? -1) + 1 }
    let finished = finishHosts(groups, depths: depths, order: order, &problems)
    try problems.throwIfAny()

    var members: [String: Set<Int>] = [:]
    for name in order.reversed() {
      members[name] = groups[name]!.children.reduce(groups[name]!.hostSet) { $0.union(members[$1.name] ?? []) }
    }
    members["ungrouped", default: []].formUnion(
      hosts.indices.filter { hosts[$0].groups.subtracting(["all", "ungrouped"]).isEmpty })
    members["all"] = Set(hosts.indices)

    var warnings = warnings + reader.warnings
    for host in hosts where groups[host.id.description] != nil {
      warnings.append(
        Diagnostic(host.location, "\(quoted(host.id.description)) is a host and a group: a pattern means the group"))
    }
    return HostInventory(
      hosts: finished,
      groups: order.sorted(by: bytewise).map { name in
        InventoryGroup(
          name: name, depth: depths[name] ?? 0, children: groups[name]!.children.map(\.name).sorted(by: bytewise),
          hostIndices: members[name]!.sorted())
      },
      warnings: warnings, ignoredVariables: reader.ignored)
  }

  /// Groups that nobody named as a child are children of `all`.
  private func adoptOrphans(_ groups: inout [String: Group]) {
    let location = SourceLocation(file: "", line: 0, column: 0)
    for name in groups.keys.sorted(by: bytewise) where name != "all" && groups[name]!.parents.isEmpty {
      groups["all"]!.children.append((name, location))
      groups[name]!.parents.append("all")
    }
  }

  /// Parents before children; reports each cycle once, at the child that closes it.
  private func topologicalOrder(of groups: [String: Group], _ problems: inout Problems) -> [String] {
    enum Mark { case open, done }
    var marks: [String: Mark] = [:]
    var order: [String] = []
    // Its own stack, because a chain of groups may be as long as the file.
    for start in ["all"] + groups.keys.sorted(by: bytewise) where marks[start] == nil {
      var stack: [(name: String, next: Int)] = [(start, 0)]
      marks[start] = .open
      while let (name, next) = stack.last {
        guard next < groups[name]!.children.count else {
          marks[name] = .done
          order.append(name)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].next += 1
        let child = groups[name]!.children[next]
        switch marks[child.name] {
        case .done: break
        case .open:
          let path = stack.map(\.name)
          let loop = path[path.firstIndex(of: child.name)!...] + [child.name]
          problems.add(
            child.location, "group \(quoted(child.name)) contains itself: \(loop.joined(separator: " > "))")
        case nil:
          marks[child.name] = .open
          stack.append((child.name, 0))
        }
      }
    }
    return order.reversed()
  }

  private func finishHosts(
    _ groups: [String: Group], depths: [String: Int], order: [String], _ problems: inout Problems
  ) -> [InventoryHost] {
    // Hosts of the same groups share one walk up the tree.
    var inherited: [Set<String>: (settings: HostSettings, memberships: [GroupMembership])] = [:]
    var finished: [InventoryHost] = []
    finished.reserveCapacity(hosts.count)
    for host in hosts {
      let direct = host.groups.subtracting(["all"]).isEmpty ? ["ungrouped"] : host.groups
      if inherited[direct] == nil {
        inherited[direct] = Self.inheritance(of: direct, in: groups, depths: depths)
      }
      let (settings, memberships) = inherited[direct]!
      finished.append(
        finish(host, settings.overlaid(by: host.settings), memberships, &problems))
    }
    checkJumpLoops(finished, &problems)
    return finished
  }

  private static func inheritance(
    of direct: Set<String>, in groups: [String: Group], depths: [String: Int]
  ) -> (HostSettings, [GroupMembership]) {
    var all: Set<String> = ["all"]
    var queue = Array(direct)
    while let name = queue.popLast() {
      if all.insert(name).inserted { queue += groups[name]!.parents }
    }
    let sorted = all.sorted { a, b in
      let (da, db) = (depths[a]!, depths[b]!)
      if da != db { return da < db }
      let (pa, pb) = (groups[a]!.settings.groupPriority ?? 1, groups[b]!.settings.groupPriority ?? 1)
      return pa == pb ? bytewise(a, b) : pa < pb
    }
    let settings = sorted.reduce(HostSettings()) { $0.overlaid(by: groups[$1]!.settings) }
    return (settings, sorted.map { GroupMembership(group: $0, depth: depths[$0]!) })
  }

  private func finish(
    _ host: Host, _ settings: HostSettings, _ memberships: [GroupMembership], _ problems: inout Problems
  ) -> InventoryHost {
    var addresses = [settings.address].compactMap(\.self)
    for address in settings.addresses ?? [] where !addresses.contains(address) { addresses.append(address) }
    if addresses.isEmpty { addresses = [host.id.description] }
    let controllers = Set((settings.controllers ?? []).compactMap(NumericAddress.init)).sorted().map(\.description)
    return InventoryHost(
      id: host.id, location: host.location, addresses: addresses, port: settings.port, user: settings.user,
      identityFile: settings.identityFile, agentUser: settings.agentUser ?? "portcullis",
      jump: resolvedHops(of: host, settings.jump ?? settings.sshJump, &problems),
      controllers: controllers, labels: Set(settings.labels ?? []).sorted(by: bytewise),
      memberships: memberships, variables: settings.variables)
  }

  private func resolvedHops(
    of host: Host, _ hops: HostSettings.Hops?, _ problems: inout Problems
  ) -> [JumpSpec] {
    guard let hops else { return [] }
    var specs: [JumpSpec] = []
    for spec in hops.specs {
      let known = hostIndex[spec.host].map { hosts[$0].id }
      if known == host.id {
        // A group's bastion is often in the group: it is where the way begins, not a hop for itself.
        if hops.isInherited { return specs }
        problems.add(hops.location, "\(quoted(spec.host)) cannot be reached through itself")
        return specs
      }
      if known == nil, hops.isStrict, spec.user == nil, spec.port == nil, NumericAddress(spec.host) == nil {
        let hint = nearestHint(spec.host, among: hosts.lazy.map(\.id.description))
        problems.add(
          hops.location, "jump host \(quoted(spec.host)) is not in the inventory",
          hint: hint ?? "write USER@HOST or HOST:PORT for one outside of it")
        return specs
      }
      specs.append(JumpSpec(user: spec.user, host: spec.host, port: spec.port, inventoryHost: known))
    }
    return specs
  }

  /// A bastion may stand behind another one, but not behind itself.
  private func checkJumpLoops(_ finished: [InventoryHost], _ problems: inout Problems) {
    var reported: Set<Int> = []
    for start in finished.indices where !finished[start].jump.isEmpty {
      var path = [start]
      while let first = finished[path.last!].jump.first?.inventoryHost, let next = hostIndex[first.description] {
        if let loop = path.firstIndex(of: next) {
          if reported.isDisjoint(with: path[loop...]) {
            let names = path[loop...].map { finished[$0].id.description } + [first.description]
            problems.add(
              finished[next].location, "jump hosts go round in a circle: \(names.joined(separator: " > "))")
          }
          reported.formUnion(path[loop...])
          break
        }
        path.append(next)
      }
    }
  }
}

func bytewise(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
