internal import Core

/// Works out depth, membership, order and variables of what the sources named.
struct InventoryBuilder {
  private var draft: InventoryDraft
  private var tree: GroupTree
  /// By source, then by group and host.
  private var groupFiles: [[Int: VariableLayer]] = []
  private var hostFiles: [[Int: VariableLayer]] = []

  init(_ draft: InventoryDraft) {
    self.draft = draft
    self.draft.adoptOrphans()
    self.draft.sortOutUngrouped()
    tree = GroupTree(self.draft.groups, &self.draft.problems)
  }

  /// A folder that several sources share is read once, and counts for each of them.
  mutating func readVariableFiles(beside folders: [String]) {
    var known: [String: Int] = [:]
    for folder in folders {
      if let index = known[folder] {
        groupFiles.append(groupFiles[index])
        hostFiles.append(hostFiles[index])
        continue
      }
      known[folder] = groupFiles.count
      let files = VariableFiles(folder: folder, &draft.problems, &draft.warnings)
      var layers: [VariableFiles.Kind: [Int: VariableLayer]] = [:]
      if !files.isEmpty {
        for (index, name) in draft.groups.map(\.name).enumerated() {
          layers[.group, default: [:]][index] = files.read(.group, name, into: &draft)
        }
        for (index, name) in draft.hosts.map(\.id.description).enumerated() {
          layers[.host, default: [:]][index] = files.read(.host, name, into: &draft)
        }
      }
      groupFiles.append(layers[.group] ?? [:])
      hostFiles.append(layers[.host] ?? [:])
    }
  }

  func build() throws(Diagnostics) -> HostInventory {
    var problems = draft.problems
    draft.reader.problems.all.forEach { problems.add($0) }
    // What follows walks the tree: it must be one.
    try problems.throwIfAny()
    var members: [[Int]] = []
    var left = GroupTree.membershipLimit
    for group in draft.groups.indices {
      members.append(tree.members(of: group, draft.groups, &left))
      guard left > 0 else {
        let start = SourceLocation(file: "inventory", line: 1, column: 1)
        throw Diagnostics(
          Diagnostic(start, "groups within groups hold more than \(GroupTree.membershipLimit) hosts together"))
      }
    }
    // Ansible's order of all hosts is the one of the group `all`.
    let order = members[InventoryDraft.all]
    var position = [Int](repeating: 0, count: draft.hosts.count)
    for (index, host) in order.enumerated() { position[host] = index }

    let finished = finishHosts(in: order, &problems)
    try problems.throwIfAny()
    let named = draft.groups.indices.sorted { bytewise(draft.groups[$0].name, draft.groups[$1].name) }
    var groupsAsNamed = [Int](repeating: 0, count: named.count)
    for (index, group) in named.enumerated() { groupsAsNamed[group] = index }
    return HostInventory(
      hosts: finished, hostsAsNamed: position,
      groups: named.map { group in
        InventoryGroup(
          name: draft.groups[group].name, depth: tree.depths[group],
          children: draft.groups[group].children.map { draft.groups[$0.group].name },
          ownHostIndices: draft.groups[group].hosts.map { position[$0] },
          hostIndices: members[group].map { position[$0] })
      },
      groupsAsNamed: groupsAsNamed, warnings: warnings(), ignoredVariables: draft.reader.ignored)
  }

  private func warnings() -> [Diagnostic] {
    var warnings = draft.warnings + draft.reader.warnings
    for host in draft.hosts where draft.index(ofGroup: host.id.description) != nil {
      warnings.append(
        Diagnostic(
          host.location,
          "\(quoted(host.id.description)) is a host and a group: a pattern means the host, after & and ! the group"))
    }
    return warnings
  }

  // MARK: Variables

  /// What the groups of a host say, from the least specific to the most specific.
  private struct Inheritance {
    var layer: VariableLayer
    var memberships: [GroupMembership]
  }

  private func finishHosts(in order: [Int], _ problems: inout Problems) -> [InventoryHost] {
    // Hosts of the same groups share one walk up the tree, and its result.
    var inherited: [Set<Int>: Inheritance] = [:]
    var unknownHops: Set<SourceLocation> = []
    var finished: [InventoryHost] = []
    finished.reserveCapacity(order.count)
    for index in order {
      let host = draft.hosts[index]
      let shared: Inheritance
      if let known = inherited[host.groups] {
        shared = known
      } else {
        shared = inheritance(of: host.groups)
        inherited[host.groups] = shared
      }
      var own = host.layer
      for files in hostFiles { if let layer = files[index] { own.overlay(layer) } }
      finished.append(finish(host, shared, own, &unknownHops, &problems))
    }
    checkJumpLoops(finished, &problems)
    return finished
  }

  /// The inventory's own variables first, then those of `group_vars`; in each `all`, then the other groups by depth,
  /// priority and name; of files those of later sources over those of earlier ones.
  private func inheritance(of direct: Set<Int>) -> Inheritance {
    let sorted = tree.ancestry(of: direct, draft.groups)
    let others = sorted.filter { $0 != InventoryDraft.all }
    var layer = draft.groups[InventoryDraft.all].layer
    for group in others { layer.overlay(draft.groups[group].layer) }
    for files in groupFiles { if let file = files[InventoryDraft.all] { layer.overlay(file) } }
    for files in groupFiles {
      for group in others { if let file = files[group] { layer.overlay(file) } }
    }
    return Inheritance(
      layer: layer,
      memberships: sorted.map { GroupMembership(group: draft.groups[$0].name, depth: tree.depths[$0]) })
  }

  private func finish(
    _ host: InventoryDraft.Host, _ shared: Inheritance, _ own: VariableLayer, _ unknownHops: inout Set<SourceLocation>,
    _ problems: inout Problems
  ) -> InventoryHost {
    let settings = own.variables.isEmpty ? shared.layer.settings : shared.layer.settings.overlaid(by: own.settings)
    var addresses = [settings.address].compactMap(\.self)
    for address in settings.addresses ?? [] where !addresses.contains(address) { addresses.append(address) }
    if addresses.isEmpty { addresses = [host.id.description] }
    let controllers = Set((settings.controllers ?? []).compactMap(NumericAddress.init)).sorted().map(\.description)
    return InventoryHost(
      id: host.id, location: host.location, addresses: addresses, port: settings.port, user: settings.user,
      identityFile: settings.identityFile, agentUser: settings.agentUser ?? "portcullis",
      jump: resolvedHops(of: host, settings.jump ?? settings.sshJump, &unknownHops, &problems),
      controllers: controllers, labels: Set(settings.labels ?? []).sorted(by: bytewise),
      sshPort: settings.sshPort, hasLeases: settings.hasLeases,
      memberships: shared.memberships,
      variables: InventoryVariables(inherited: shared.layer.variables, own: own.variables))
  }

  // MARK: Ways to the hosts

  private func resolvedHops(
    of host: InventoryDraft.Host, _ hops: HostSettings.Hops?, _ unknownHops: inout Set<SourceLocation>,
    _ problems: inout Problems
  ) -> [JumpSpec] {
    guard let hops else { return [] }
    var specs: [JumpSpec] = []
    for spec in hops.specs {
      let known = draft.index(ofHost: spec.host).map { draft.hosts[$0].id }
      if known == host.id {
        // A group's bastion is often in the group: it is where the way begins, not a hop for itself.
        if hops.isInherited { return specs }
        problems.add(hops.location, "\(quoted(spec.host)) cannot be reached through itself")
        return specs
      }
      if known == nil, hops.isStrict, spec.user == nil, spec.port == nil, NumericAddress(spec.host) == nil {
        // Once, however many hosts inherit it: looking for the nearest of all names takes its time.
        guard unknownHops.insert(hops.location).inserted else { return specs }
        let hint = nearestHint(spec.host, among: draft.hosts.lazy.map(\.id.description))
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
    let hostIndex = Dictionary(uniqueKeysWithValues: finished.enumerated().map { ($1.id.description, $0) })
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
