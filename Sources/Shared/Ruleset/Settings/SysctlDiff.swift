package import Core

extension RulesetDiff {
  /// What changes of a family's kernel settings, for people: a table `sysctl` with a line for each. A setting that goes
  /// is removed here, and is on the host again what it was before us.
  package static func settings(from: SysctlFile, to: SysctlFile, _ family: Family) -> RulesetDiff {
    var change = BesideChange(table: "sysctl")
    for key in Set(from.values.keys).union(to.values.keys).sorted() where key.family == family {
      let (old, new) = (from.values[key], to.values[key])
      guard old != new else { continue }
      if let old { change.add(.removed, "\(key) = \(old)") }
      if let new { change.add(.added, "\(key) = \(new)") }
    }
    return change.diff
  }
}
