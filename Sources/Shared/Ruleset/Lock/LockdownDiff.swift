package import Core

extension RulesetDiff {
  /// One family's text of a lockdown profile, and what it is called.
  package struct Lockdown: Sendable {
    package let name: ProfileName
    package let rank: LockRank
    package let rules: [UInt8]

    package init(name: ProfileName, rank: LockRank, rules: [UInt8]) {
      self.name = name
      self.rank = rank
      self.rules = rules
    }

    fileprivate var lines: [String] {
      rules.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }.filter {
        $0.hasPrefix("-")
      }
    }

    fileprivate var words: String { ":\(name)   (rank \(rank), \(lines.count) rules)" }
  }

  /// What changes of a family's lockdown profiles, for people: a table `lockdown` with the rules that come and go of each.
  /// One that is all new, or goes, is one line: what it says is for `render` to show.
  package static func lockdowns(from: [Lockdown], to: [Lockdown]) -> RulesetDiff {
    var change = BesideChange(table: "lockdown")
    for name in Set((from + to).map(\.name)).sorted() {
      switch (from.first { $0.name == name }, to.first { $0.name == name }) {
      case (let old?, let new?): change.rules(from: old, to: new)
      case (let old?, nil): change.add(.removed, old.words)
      case (nil, let new?): change.add(.added, new.words)
      case (nil, nil): continue
      }
    }
    return change.diff
  }
}

extension BesideChange {
  fileprivate mutating func rules(from: RulesetDiff.Lockdown, to: RulesetDiff.Lockdown) {
    guard from.rank != to.rank || from.rules != to.rules else { return }
    if from.rank == to.rank {
      add(.header, to.words)
    } else {
      add(.removed, from.words)
      add(.added, to.words)
    }
    let changes = to.lines.difference(from: from.lines)
    for case .remove(_, let line, _) in changes { add(.removed, line) }
    for case .insert(_, let line, _) in changes { add(.added, line) }
  }
}
