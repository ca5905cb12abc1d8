package import Core
package import Ruleset

/// Tables that no kernel has: hosts report in them what differs beside their rules. Their lines have no order.
package enum BesideTable: String, Hashable, Sendable, CaseIterable {
  case ipset, sysctl, kernel, lockdown, others, disk
}

/// Which side of a host moved.
package enum DriftSide: String, Hashable, Sendable, CaseIterable {
  case running = "running rules"
  case disk = "on disk"
  case beside = "beside the rules"

  init(table: String) {
    self = BesideTable(rawValue: table).map(DriftSide.init) ?? .running
  }

  init(_ table: BesideTable) {
    switch table {
    case .disk: self = .disk
    case .ipset, .sysctl, .kernel, .lockdown, .others: self = .beside
    }
  }

  /// In the order of their declaration.
  package static func all(_ diffs: PerFamily<RulesetDiff>) -> [DriftSide] {
    var found: Set<DriftSide> = []
    for family in Family.allCases {
      for line in diffs[family].lines where line.isChange { found.insert(DriftSide(table: line.table)) }
    }
    return allCases.filter(found.contains)
  }
}

/// What differs beside the rules, in words.
package enum BesideWords {
  struct Place: Hashable {
    let table: BesideTable
    /// Safe to print.
    let name: String

    var words: String { title(table) + name }
  }

  /// Where something differs, for an operator; nil for a chain of rules.
  ///
  /// - Parameter chain: safe to print.
  package static func place(table: String, chain: String) -> String? {
    BesideTable(rawValue: table).map { Place(table: $0, name: chain).words }
  }

  /// One sentence each, safe to print; the same of both families once.
  package static func of(_ diffs: PerFamily<RulesetDiff>) -> [String] {
    var said: Set<String> = []
    return byPlace(diffs).flatMap(\.words).filter { said.insert($0).inserted }
  }

  /// In their order.
  static func byPlace(_ diffs: PerFamily<RulesetDiff>) -> [(place: Place, words: [String])] {
    var order: [Place] = []
    var sides: [Place: (expected: [String], found: [String])] = [:]
    for family in Family.allCases {
      for line in diffs[family].lines where line.isChange {
        guard let table = BesideTable(rawValue: line.table), let name = line.chain else { continue }
        let prefix = "-A \(SafeText.escape(name)) "
        guard line.text.hasPrefix(prefix) else { continue }
        let chain = Place(table: table, name: SafeText.escape(name))
        if sides[chain] == nil { order.append(chain) }
        let value = String(line.text.dropFirst(prefix.count))
        if line.kind == .removed {
          sides[chain, default: ([], [])].expected.append(value)
        } else {
          sides[chain, default: ([], [])].found.append(value)
        }
      }
    }
    return order.map { ($0, words($0, sides[$0] ?? ([], []))) }
  }

  private static func words(_ chain: Place, _ sides: (expected: [String], found: [String])) -> [String] {
    // A line that begins like a comment is what the host says instead of a value.
    let remarks = sides.found.filter { $0.hasPrefix("# ") }.map { String($0.dropFirst(2)) }
    let found = sides.found.filter { !$0.hasPrefix("# ") }
    switch chain.table {
    case .ipset:
      return ofSet(sides.expected, found, remarks).map { "\(chain.words): \($0)" }
    case .sysctl, .kernel, .lockdown, .others, .disk:
      let subject = chain.words
      if !remarks.isEmpty { return remarks.map { "\(subject): \($0)" } }
      switch (sides.expected.isEmpty, found.isEmpty) {
      case (false, false): return ["\(subject) is \(list(found)), and should be \(list(sides.expected))"]
      case (false, true): return ["\(subject) is gone; it was \(list(sides.expected))"]
      case (true, false): return ["\(subject) is new: \(list(found))"]
      case (true, true): return []
      }
    }
  }

  private static func ofSet(_ missing: [String], _ extra: [String], _ remarks: [String]) -> [String] {
    // The agent names so many members of a side, and no more.
    let rest = "and others"
    let states = remarks.filter { $0 != rest && !HeldRemark.isOne($0) }
    guard states.isEmpty else { return states }
    let words =
      missing.map { $0 == "# \(rest)" ? "\(rest) are missing" : "\($0) is missing" }
      + extra.map { "\($0) does not belong there" } + (remarks.contains(rest) ? ["\(rest) do not belong there"] : [])
    return words.isEmpty && !remarks.isEmpty ? ["it holds other members"] : words
  }

  private static func title(_ table: BesideTable) -> String {
    switch table {
    case .ipset: "ipset "
    case .sysctl: ""
    case .kernel: "in the kernel, "
    case .lockdown: "of the lockdown, its "
    case .others: "beside ours, "
    case .disk: "on disk, "
    }
  }

  private static func list(_ values: [String]) -> String { values.joined(separator: ", ") }
}
