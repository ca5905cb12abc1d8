internal import Core
internal import Inventory
internal import Ruleset

/// Reads one entry of `sysctl`.
enum SysctlReader {
  static func read(_ entry: YAMLNode.Entry, _ problems: inout Problems) -> Located<SysctlSetting>? {
    guard let key = SysctlKey(entry.key) else {
      problems.add(
        entry.keyLocation, "\(quoted(entry.key)) is not one of the settings that a policy may make",
        hint: nearestHint(entry.key, among: SysctlKey.examples)
          ?? "those next to the packet filter: \(SysctlKey.examples.prefix(4).joined(separator: ", ")) … (docs/policies.md)"
      )
      return nil
    }
    guard let value = entry.value.integer(in: key.allowed, &problems) else { return nil }
    guard key.allows(value) else {
      problems.add(entry.value.location, "\(key) may be \(key.allowedWords), not \(value)")
      return nil
    }
    return Located(SysctlSetting(key: key, value: value), entry.keyLocation)
  }
}
