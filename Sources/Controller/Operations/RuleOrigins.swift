internal import Core
internal import Policy
internal import Release
internal import Ruleset

/// Where in the policies the rules of one bundle come from when a host prints them in its own words.
///
/// The save program prints one line for each rule of a chain, in their order: a rule is known by its position in a chain
/// that is as long as ours, never by its words.
struct RuleOrigins {
  private struct Chain: Hashable {
    let table: String
    let name: String
  }

  private let lines: PerFamily<[Chain: [Int]]>
  private let traces: PerFamily<RuleTrace>

  /// - Parameters:
  ///   - rules: as the bundle has them.
  ///   - traces: of these rules.
  init(
    _ rules: PerFamily<[UInt8]>, mode: Manifest.Mode, forwardsForeign: Bool, _ traces: PerFamily<RuleTrace>
  ) throws(Diagnostics) {
    lines = try rules.map { family, text throws(Diagnostics) in
      let policy = try Ruleset.parse(policy: text, file: "\(family) rules", family: family)
      let tables =
        mode == .owned ? OwnedRules(policy, forwardsForeign: forwardsForeign).tables : policy.tables
      var lines: [Chain: [Int]] = [:]
      for table in tables {
        for chain in table.chains { lines[Chain(table: table.name, name: chain.name)] = chain.rules.map(\.line) }
      }
      return lines
    }
    self.traces = traces
  }

  /// - Parameter line: a rule of what the host expects to find. Nil for what no line of a policy says, like the final
  ///   rule that stands for a default.
  func source(_ family: Family, _ line: DiffLine) -> SourceLocation? {
    guard let chain = line.chain, let position = line.position,
      let ours = lines[family][Chain(table: line.table, name: chain)], ours.count == position.count
    else { return nil }
    return traces[family].source(line: ours[position.index])
  }
}
