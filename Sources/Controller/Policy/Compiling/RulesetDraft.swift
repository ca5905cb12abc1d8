internal import Core
internal import Ruleset

/// One family's rules while they are put together, each with the place in the policies it comes from.
struct RulesetDraft: Sendable {
  struct Line: Sendable {
    let text: [UInt8]
    let source: SourceLocation
  }

  struct Chain: Sendable {
    let name: String
    var policy: String?
    var place: SourceLocation
    var lines: [Line] = []
  }

  struct Table: Sendable {
    let name: String
    let place: SourceLocation
    var chains: [Chain] = []

    func index(of chain: String) -> Int? { chains.firstIndex { $0.name == chain } }
  }

  private static let order = ["raw", "mangle", "nat", "filter", "security"]
  private(set) var tables: [Table] = []

  /// Makes the table with all its built-in chains where there is none yet.
  mutating func declare(table name: String, at place: SourceLocation) {
    guard !tables.contains(where: { $0.name == name }) else { return }
    var table = Table(name: name, place: place)
    for chain in BuiltInChains.chains(of: name) ?? [] {
      table.chains.append(Chain(name: chain, policy: "ACCEPT", place: place))
    }
    tables.append(table)
    tables.sort { Self.rank($0.name) < Self.rank($1.name) }
  }

  /// A chain that is not built in; nil when there is none of this name yet, otherwise where that one was declared.
  mutating func declare(chain name: String, in table: String, at place: SourceLocation) -> SourceLocation? {
    declare(table: table, at: place)
    let index = tables.firstIndex { $0.name == table }!
    if let known = tables[index].index(of: name) { return tables[index].chains[known].place }
    tables[index].chains.append(Chain(name: name, policy: nil, place: place))
    return nil
  }

  mutating func setPolicy(of chain: String, in table: String, to policy: String, at place: SourceLocation) {
    declare(table: table, at: place)
    change(chain, in: table) {
      $0.policy = policy
      $0.place = place
    }
  }

  mutating func append(_ text: String, to chain: String, in table: String, from source: SourceLocation) {
    append(Array(text.utf8), to: chain, in: table, from: source)
  }

  mutating func append(_ text: [UInt8], to chain: String, in table: String, from source: SourceLocation) {
    declare(table: table, at: source)
    change(chain, in: table) { $0.lines.append(Line(text: text, source: source)) }
  }

  var ruleSources: Set<SourceLocation> { Set(tables.flatMap { $0.chains.flatMap { $0.lines.map(\.source) } }) }

  func chain(_ name: String, in table: String) -> Chain? {
    tables.first { $0.name == table }.flatMap { table in table.index(of: name).map { table.chains[$0] } }
  }

  private mutating func change(_ chain: String, in table: String, _ body: (inout Chain) -> Void) {
    guard let index = tables.firstIndex(where: { $0.name == table }), let known = tables[index].index(of: chain) else {
      return
    }
    body(&tables[index].chains[known])
  }

  private static func rank(_ table: String) -> Int { order.firstIndex(of: table) ?? order.count }

  /// The restore text: printable ASCII, chains before rules, built-in chains first and all of them there, so that both
  /// backends make the same of it. One place for each line.
  func render() -> (text: [UInt8], places: [SourceLocation]) {
    var text: [UInt8] = []
    var places: [SourceLocation] = []
    func line(_ bytes: some Sequence<UInt8>, _ place: SourceLocation) {
      text += bytes
      text.append(UInt8(ascii: "\n"))
      places.append(place)
    }
    for table in tables {
      line("*\(table.name)".utf8, table.place)
      for chain in table.chains { line(":\(chain.name) \(chain.policy ?? "-") [0:0]".utf8, chain.place) }
      for chain in table.chains {
        for rule in chain.lines { line(rule.text, rule.source) }
      }
      line("COMMIT".utf8, table.place)
    }
    return (text, places)
  }
}
