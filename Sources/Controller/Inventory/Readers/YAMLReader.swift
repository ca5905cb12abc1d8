internal import Core

/// Ansible's YAML inventories: groups with `hosts`, `vars` and `children`, read in the order they are written.
enum YAMLReader {
  static func read(_ root: YAMLNode, into draft: inout InventoryDraft) {
    guard let entries = root.entries(&draft.problems) else { return }
    if let plugin = entries.first(where: { $0.key == "plugin" }) {
      draft.problems.add(
        plugin.keyLocation, "this configures an inventory plugin of Ansible, which only Ansible can run",
        hint: "let Ansible write the hosts down: ansible-inventory -i FILE --list --yaml --export")
      return
    }
    for entry in entries { _ = readGroup(entry, into: &draft) }
  }

  /// As deep as the file, which StrictYAML bounds.
  private static func readGroup(_ entry: YAMLNode.Entry, into draft: inout InventoryDraft) -> Int? {
    guard let group = draft.group(entry.key, at: entry.keyLocation) else { return nil }
    guard !entry.value.isNull, let parts = entry.value.entries(&draft.problems) else { return group }
    for part in parts {
      guard ["hosts", "vars", "children"].contains(part.key) else {
        draft.problems.add(
          part.keyLocation, "unknown key \(quoted(part.key))",
          hint: nearestHint(part.key, among: ["hosts", "vars", "children"]) ?? "known here: hosts, vars, children")
        continue
      }
      guard let entries = entries(of: part, &draft.problems) else { continue }
      for entry in entries {
        switch part.key {
        case "vars": draft.set(RawVariable(entry), ofGroup: group)
        case "children":
          if let child = readGroup(entry, into: &draft) {
            draft.link(parent: group, child: child, entry.keyLocation)
          }
        default: readHost(entry, in: group, into: &draft)
        }
      }
    }
    return group
  }

  /// `hosts: web1` is short for a mapping with one key.
  private static func entries(of part: YAMLNode.Entry, _ problems: inout Problems) -> [YAMLNode.Entry]? {
    if part.value.isNull { return nil }
    if part.value.tag == nil, part.key != "vars", case .scalar(let text) = part.value.content {
      let nothing = YAMLNode(location: part.value.location, tag: nil, content: .null)
      return [YAMLNode.Entry(key: text, keyLocation: part.value.location, value: nothing)]
    }
    return part.value.entries(&problems)
  }

  private static func readHost(_ entry: YAMLNode.Entry, in group: Int, into draft: inout InventoryDraft) {
    guard let pattern = draft.pattern(entry.key, at: entry.keyLocation) else { return }
    var variables: [RawVariable] = []
    if !entry.value.isNull {
      guard let entries = entry.value.entries(&draft.problems) else { return }
      variables = entries.map(RawVariable.init)
    }
    for name in pattern.names {
      guard let host = draft.host(name, in: group, port: pattern.port, at: entry.keyLocation) else { return }
      for variable in variables { draft.set(variable, ofHost: host) }
    }
  }
}
