internal import Core

/// The inventory as `ansible-inventory` shows it.
extension HostInventory {
  /// Names that Ansible keeps for itself and leaves out of what it prints.
  static let internalVariables: Set<String> = [
    "ansible_async_path", "ansible_collection_name", "ansible_config_file", "ansible_dependent_role_names",
    "ansible_diff_mode", "ansible_facts", "ansible_forks", "ansible_inventory_sources", "ansible_limit",
    "ansible_play_batch", "ansible_play_hosts", "ansible_play_hosts_all", "ansible_play_role_names",
    "ansible_playbook_python", "ansible_role_name", "ansible_role_names", "ansible_run_tags", "ansible_skip_tags",
    "ansible_verbosity", "ansible_version", "inventory_dir", "inventory_file", "inventory_hostname",
    "inventory_hostname_short", "groups", "group_names", "hostvars", "playbook_dir", "play_hosts", "role_name",
    "role_names", "role_path", "role_uuid",
  ]

  /// `ansible-inventory --host`: all variables of one host. What is unsafe is told as such by `--list` alone.
  package func listing(of host: InventoryHost) -> InventoryValue { variables(of: host).withoutUnsafe }

  private func variables(of host: InventoryHost) -> InventoryValue {
    .mapping(
      host.variables.filter { !Self.internalVariables.contains($0.key) }.map {
        InventoryValue.Entry(key: $0.key, value: $0.value)
      })
  }

  /// `ansible-inventory --list`, of these hosts only.
  package func listing(of chosen: [InventoryHost]) -> InventoryValue {
    let available = Set(chosen.map(\.id))
    var entries: [InventoryValue.Entry] = []
    var seen: Set<String> = []
    // Its own stack, because groups may be nested as deep as the file is long. Below `all`, a group is shown once.
    var stack = ["all"]
    while let name = stack.popLast() {
      guard let group = group(named: name) else { continue }
      var parts: [InventoryValue.Entry] = []
      if name != "all" {
        let names = group.ownHostIndices.map { hosts[$0].id }.filter { available.contains($0) }
        if !names.isEmpty { parts.append(.init(key: "hosts", value: .list(names.map { .text($0.description) }))) }
      }
      if !group.children.isEmpty {
        parts.append(.init(key: "children", value: .list(group.children.map { .text($0) })))
      }
      if !parts.isEmpty { entries.append(.init(key: name, value: .mapping(parts))) }
      for child in group.children where seen.insert(child).inserted { stack.append(child) }
    }
    let known = chosen.map { InventoryValue.Entry(key: $0.id.description, value: variables(of: $0)) }
      .filter { $0.value != .mapping([]) }
    entries.append(
      .init(
        key: "_meta",
        value: .mapping([
          .init(key: "hostvars", value: .mapping(known)),
          .init(key: "profile", value: .text("inventory_legacy")),
        ])))
    return .mapping(entries)
  }

  /// `ansible-inventory --graph`: the groups below one of them, as a tree. `limit` bounds its lines: groups in several
  /// places are drawn in each of them.
  package func graph(from top: InventoryGroup, limit: Int = 1_000_000) -> [String] {
    enum Step {
      case group(String, depth: Int)
      case hosts([Int], depth: Int)
    }
    func line(_ text: String, _ depth: Int) -> String {
      depth == 0 ? text : String(repeating: "  |", count: depth) + "--" + text
    }
    var lines: [String] = []
    var stack: [Step] = [.group(top.name, depth: 0)]
    while let step = stack.popLast(), lines.count < limit {
      switch step {
      case .group(let name, let depth):
        guard let group = group(named: name) else { continue }
        lines.append(line("@\(name):", depth))
        if name != "all" { stack.append(.hosts(group.ownHostIndices, depth: depth + 1)) }
        for child in group.children.reversed() { stack.append(.group(child, depth: depth + 1)) }
      case .hosts(let indices, let depth): lines += indices.map { line(hosts[$0].id.description, depth) }
      }
    }
    return lines
  }
}
