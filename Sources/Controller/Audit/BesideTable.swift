package import Core
package import Ruleset

/// Tables that no kernel has: hosts report in them what differs beside their rules. Their lines have no order.
package enum BesideTable: String, Hashable, Sendable, CaseIterable {
  case ipset, sysctl, kernel, others, disk
}

/// Which side of a host moved.
package enum DriftSide: String, Hashable, Sendable, CaseIterable {
  case running = "running rules"
  case disk = "on disk"
  case beside = "beside the rules"

  init(table: String) {
    switch BesideTable(rawValue: table) {
    case nil: self = .running
    case .disk: self = .disk
    case .ipset, .sysctl, .kernel, .others: self = .beside
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
  private struct Chain: Hashable {
    let table: BesideTable
    let name: String
  }

  /// One sentence each, safe to print; the same of both families once.
  package static func of(_ diffs: PerFamily<RulesetDiff>) -> [String] {
    var order: [Chain] = []
    var sides: [Chain: (expected: [String], found: [String])] = [:]
    for family in Family.allCases {
      for line in diffs[family].lines where line.isChange {
        guard let table = BesideTable(rawValue: line.table), let name = line.chain else { continue }
        let prefix = "-A \(SafeText.escape(name)) "
        guard line.text.hasPrefix(prefix) else { continue }
        let chain = Chain(table: table, name: SafeText.escape(name))
        if sides[chain] == nil { order.append(chain) }
        let value = String(line.text.dropFirst(prefix.count))
        if line.kind == .removed {
          sides[chain, default: ([], [])].expected.append(value)
        } else {
          sides[chain, default: ([], [])].found.append(value)
        }
      }
    }
    var said: Set<String> = []
    return order.flatMap { words($0, sides[$0] ?? ([], [])) }.filter { said.insert($0).inserted }
  }

  private static func words(_ chain: Chain, _ sides: (expected: [String], found: [String])) -> [String] {
    // A line that begins like a comment is what the host says instead of a value.
    let remarks = sides.found.filter { $0.hasPrefix("# ") }.map { String($0.dropFirst(2)) }
    let found = sides.found.filter { !$0.hasPrefix("# ") }
    switch chain.table {
    case .ipset:
      guard remarks.isEmpty else { return remarks.map { "ipset \(chain.name): \($0)" } }
      return sides.expected.map { "ipset \(chain.name): \($0) is missing" }
        + found.map { "ipset \(chain.name): \($0) does not belong there" }
    case .sysctl, .kernel, .others, .disk:
      let subject = chain.table == .sysctl ? chain.name : "\(title(chain.table))\(chain.name)"
      if !remarks.isEmpty { return remarks.map { "\(subject): \($0)" } }
      switch (sides.expected.isEmpty, found.isEmpty) {
      case (false, false): return ["\(subject) is \(list(found)), and should be \(list(sides.expected))"]
      case (false, true): return ["\(subject) is gone; it was \(list(sides.expected))"]
      case (true, false): return ["\(subject) is new: \(list(found))"]
      case (true, true): return []
      }
    }
  }

  private static func title(_ table: BesideTable) -> String {
    switch table {
    case .ipset: "ipset "
    case .sysctl: ""
    case .kernel: "in the kernel, "
    case .others: "beside ours, "
    case .disk: "on disk, "
    }
  }

  private static func list(_ values: [String]) -> String { values.joined(separator: ", ") }
}
