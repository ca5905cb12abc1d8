internal import Ruleset

/// What the kernel's settings are to be under one side of a change: what it asks for, and for all else that we ever
/// touched what was there before.
struct SettingsPlan {
  /// In the order in which they are written: each after those that change it too, so that one pass is enough.
  let values: [(key: SysctlKey, value: Int)]

  /// - Parameter originals: what was found before we first touched it.
  init(_ wanted: SysctlFile, originals: SysctlFile) {
    var values = wanted.values
    for (key, value) in originals.values where values[key] == nil {
      // What the kernel sets along with a switch that is asked for: another side of the change may have set it otherwise,
      // and a switch that is right already sets nothing.
      let flipped = wanted.values.first { key.isCompanion(of: $0.key) && originals.values[$0.key] != $0.value }
      values[key] = flipped.map { key.value(underSwitch: $0.value) } ?? value
    }
    self.values = SysctlFile(found: values).inWritingOrder
  }

  /// Those that are written before the rules change; the others are only right once these rules are there.
  var tightening: [(key: SysctlKey, value: Int)] { values.filter { $0.key.isTightest($0.value) } }
}

/// What the kernel's settings were before we first touched them, as far as that can be read.
struct FoundSettings {
  var file = SysctlFile.empty
  /// In words, why that may not be all.
  var problem: String?
  /// What the committed release asks for, when nothing says any more what that was before.
  var lost = SysctlFile.empty
}
