/// Writes the restore text of a change, table by table: each is one transaction of the kernel.
struct OwnedChangeBuilder {
  let request: OwnedChange.Request
  private(set) var text: [UInt8] = []
  private(set) var findings: [ForeignAccept] = []
  private(set) var taken: [TakenRule] = []
  private(set) var sourceLines: [Int] = []

  init(_ request: OwnedChange.Request) { self.request = request }

  mutating func run() {
    // In an order that is the same each time. Tables that the kernel does not have built in hold nothing of ours.
    for name in BuiltInChains.tableNames { table(name) }
  }

  private mutating func table(_ name: String) {
    let saved = request.saved[table: name] ?? RuleTable(name: name)
    let wanted = request.wanted.tables.first { $0.name == name } ?? RuleTable(name: name)
    var lines: [(text: [UInt8], source: Int)] = []
    func add(_ text: String) { lines.append((Array(text.utf8), 0)) }

    // Declarations. That of one of our chains creates it or empties it.
    var policies = request.policies[name] ?? [:]
    policies.merge(request.wanted.policies[name] ?? [:]) { _, wanted in wanted }
    for chain in (BuiltInChains.chains(of: name) ?? []).sorted(by: bytewise) {
      guard let policy = policies[chain], policy != saved[chain: chain]?.policy ?? "ACCEPT" else { continue }
      add(":\(chain) \(policy) [0:0]")
    }
    let found = saved.chains.filter { OwnedNames.isOurs($0.name) }
    let fills = request.refills || !Self.areEqual(found, wanted.chains)
    if fills { for chain in wanted.chains { add(":\(chain.name) - [0:0]") } }

    // Hooks, and other people's rules that move or go.
    var foreign = ForeignTable(request, name: name, saved: saved)
    foreign.edit()
    // Fails when somebody else was quicker, where a declaration would empty his chain.
    for chain in foreign.madeChains { add("-N \(chain)") }
    for line in foreign.lines { lines.append((line, 0)) }
    findings += foreign.findings
    taken += foreign.taken

    if fills {
      for chain in wanted.chains { for rule in chain.rules { lines.append((rule.text, rule.line)) } }
    }
    let stale = found.filter { wanted[chain: $0.name] == nil }.map(\.name)
    for chain in stale { add("-F \(chain)") }
    for chain in stale + foreign.deletedChains { add("-X \(chain)") }

    guard !lines.isEmpty else { return }
    add("COMMIT")
    lines.insert((Array("*\(name)".utf8), 0), at: 0)
    for line in lines {
      text += line.text
      text.append(newline)
      sourceLines.append(line.source)
    }
  }

  /// Names and rules, in any order of chains. Rules that the save program words otherwise count as different.
  private static func areEqual(_ a: [RuleChain], _ b: [RuleChain]) -> Bool {
    guard a.count == b.count else { return false }
    let ordered = [a, b].map { $0.sorted { bytewise($0.name, $1.name) } }
    return zip(ordered[0], ordered[1]).allSatisfy { $0.name == $1.name && $0.rules == $1.rules }
  }
}
