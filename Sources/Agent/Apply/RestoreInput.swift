internal import Core
package import Ruleset

/// What a restore program is fed for one family, built in memory before anything changes, with the way back from each
/// of its lines to the file it came from.
package struct RestoreInput: Hashable, Sendable {
  package let bytes: [UInt8]
  /// Every table that loading this replaces, the emptied ones too.
  package let tables: Set<String>
  /// What is to be there afterwards.
  package let ruleset: Ruleset
  /// The source line of each line of `bytes`, 0 for lines that come from no rule.
  private let sourceLines: [Int]

  /// All built-in chains of each declared table are declared, since the backends disagree about those left out; and
  /// tables in `emptied` that the ruleset does not declare are emptied.
  package init(_ ruleset: Ruleset, emptying emptied: Set<String> = []) {
    let complete = ruleset.declaringAllBuiltInChains()
    var bytes: [UInt8] = []
    var lines: [Int] = []
    func line(_ text: some Sequence<UInt8>, from source: Int = 0) {
      bytes.append(contentsOf: text)
      bytes.append(UInt8(ascii: "\n"))
      lines.append(source)
    }
    for table in complete.tables {
      line("*\(table.name)".utf8)
      for chain in table.chains { line(":\(chain.name) \(chain.policy ?? "-") [0:0]".utf8) }
      for chain in table.chains {
        for rule in chain.rules { line(rule.bytes, from: rule.line) }
      }
      line("COMMIT".utf8)
    }
    let declared = Set(complete.tableNames)
    let others = emptied.subtracting(declared)
    bytes += Ruleset.clearing(tables: others)
    self.bytes = bytes
    sourceLines = lines
    tables = declared.union(others)
    self.ruleset = complete
  }

  /// The line of the file that this line (from 1) of the input came from; nil when it came from no rule.
  package func sourceLine(of line: Int) -> Int? {
    guard sourceLines.indices.contains(line - 1), sourceLines[line - 1] > 0 else { return nil }
    return sourceLines[line - 1]
  }

  /// The part of what a save program printed that this input answers for.
  package func governed(_ saved: Ruleset) -> Ruleset { saved.restricted(to: tables) }

  /// The same with the layer of a lockdown in its table, if that is one of these.
  func holding(_ layer: LockLayer?) -> RestoreInput {
    guard let layer, tables.contains(LockLayer.table) else { return self }
    let table = layer.table(in: ruleset[table: LockLayer.table])
    let others = ruleset.tables.filter { $0.name != LockLayer.table }
    return RestoreInput(Ruleset(tables: others + [table]), emptying: tables)
  }

  /// The same tables and chains with only the first rules, in the order of the text.
  func keeping(firstRules count: Int) -> RestoreInput {
    var left = count
    var part = ruleset
    for table in part.tables.indices {
      for chain in part.tables[table].chains.indices {
        let rules = part.tables[table].chains[chain].rules
        part.tables[table].chains[chain].rules = Array(rules.prefix(left))
        left -= min(left, rules.count)
      }
    }
    return RestoreInput(part)
  }

  /// The source line of the rule with this number, counted from 1 in the order of the text.
  func sourceLine(ofRule number: Int) -> Int? {
    let rules = ruleset.tables.lazy.flatMap(\.chains).flatMap(\.rules)
    guard let rule = rules.dropFirst(number - 1).first, rule.line > 0 else { return nil }
    return rule.line
  }
}
