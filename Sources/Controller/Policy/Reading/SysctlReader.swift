internal import Core
internal import Inventory

/// Reads one entry of `sysctl`.
enum SysctlReader {
  static func read(_ entry: YAMLNode.Entry, _ problems: inout Problems) -> Located<SysctlSetting>? {
    guard let value = entry.value.string(&problems) else { return nil }
    return Located(SysctlSetting(key: entry.key, value: value), entry.keyLocation)
  }
}
