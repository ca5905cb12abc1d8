internal import Ruleset

/// What the kernel's settings are to be under one side of a change: what it asks for, and for all else that we ever
/// touched what was there before.
struct SettingsPlan {
  /// In the order in which they are written.
  let values: [(key: SysctlKey, value: Int)]

  /// - Parameter originals: what was found before we first touched it.
  init(_ wanted: SysctlFile, originals: SysctlFile) {
    var values = wanted.values
    for (key, value) in originals.values where values[key] == nil {
      // What the kernel sets along with a switch that is asked for is written all the same: a change that was cut short
      // may have left the switch right and the others wrong, and a switch that is right already sets nothing.
      let flipped = wanted.values.first { key.isCompanion(of: $0.key) && originals.values[$0.key] != $0.value }
      values[key] = flipped.map { key.value(underSwitch: $0.value) } ?? value
    }
    self.values = SysctlFile(found: values).inWritingOrder
  }
}
