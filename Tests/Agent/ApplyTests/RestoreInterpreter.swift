import Apply
import Core
import Ruleset
import Wire

/// Does to tables what the restore programs do with a text: all of a table or nothing of it, table by table.
struct RestoreInterpreter {
  /// - Parameter tables: how many of them get done before the program dies; nil for all.
  static func run(
    _ text: RestoreText, on kernel: inout [String: RuleTable], _ family: Family, _ backend: Backend,
    tables limit: Int? = nil
  ) throws(FirewallProblem) {
    var done = 0
    var open: RuleTable?
    for (index, bytes) in text.bytes.split(separator: 10).enumerated() {
      let line = String(decoding: bytes, as: UTF8.self)
      func refuse(_ words: String) -> FirewallProblem {
        FirewallProblem(.refused, program: "restore", family: family, line: index + 1, words: words)
      }
      if line.hasPrefix("#") { continue }
      if line.hasPrefix("*") {
        let name = String(line.dropFirst())
        guard BuiltInChains.chains(of: name) != nil else { throw refuse("no such table") }
        let builtIn = FakeFirewall.builtIn(name)
        if text.keepsOthers {
          open = kernel[name] ?? RuleTable(name: name, chains: builtIn)
        } else {
          open = RuleTable(name: name)
        }
      } else if line == "COMMIT" {
        guard let table = open else { throw refuse("COMMIT without a table") }
        if let limit, done >= limit { return }
        try requireWhole(table, refuse)
        if text.keepsOthers { kernel[table.name] = table } else { replace(table, in: &kernel, backend) }
        open = nil
        done += 1
      } else {
        guard var table = open else { throw refuse("a line outside of a table") }
        guard apply(line, to: &table) else { throw refuse("failed: \(line)") }
        open = table
      }
    }
    if open != nil {
      throw FirewallProblem(.refused, program: "restore", family: family, words: "COMMIT expected")
    }
  }

  /// A declared table is replaced whole; a built-in chain it leaves out is reset by nft and kept by legacy.
  static func replace(_ table: RuleTable, in tables: inout [String: RuleTable], _ backend: Backend) {
    var new = table
    for chain in FakeFirewall.builtIn(table.name) where new[chain: chain.name] == nil {
      let old = backend == .legacy ? tables[table.name]?[chain: chain.name]?.policy : nil
      new.chains.append(RuleChain(name: chain.name, policy: old ?? "ACCEPT"))
    }
    tables[table.name] = new
  }

  /// False when the program would refuse the line.
  private static func apply(_ line: String, to table: inout RuleTable) -> Bool {
    if line.hasPrefix(":") {
      let words = line.dropFirst().split(separator: " ").map(String.init)
      guard words.count >= 2 else { return false }
      let policy = words[1] == "-" ? nil : words[1]
      if let at = table.chains.firstIndex(where: { $0.name == words[0] }) {
        // A chain of a user's is emptied; a built-in one only gets its policy.
        if policy == nil { table.chains[at].rules = [] } else { table.chains[at].policy = policy }
      } else {
        table.chains.append(RuleChain(name: words[0], policy: policy))
      }
      return true
    }
    let words = line.split(separator: " ", maxSplits: 2).map(String.init)
    if words == ["-F"] {
      for at in table.chains.indices { table.chains[at].rules = [] }
      return true
    }
    if words == ["-X"] {
      table.chains.removeAll { $0.policy == nil }
      return true
    }
    guard words.count >= 2 else { return false }
    if words[0] == "-N" {
      guard table[chain: words[1]] == nil else { return false }
      table.chains.append(RuleChain(name: words[1], policy: nil))
      return true
    }
    guard let at = table.chains.firstIndex(where: { $0.name == words[1] }) else { return false }
    let rest = words.count > 2 ? words[2] : ""
    func rule(_ rest: String) -> Rule { Rule(text: Array(("-A \(words[1])" + (rest.isEmpty ? "" : " \(rest)")).utf8)) }
    switch words[0] {
    case "-A": table.chains[at].rules.append(rule(rest))
    case "-I":
      let parts = rest.split(separator: " ", maxSplits: 1).map(String.init)
      let position = Int(parts.first ?? "") ?? 1
      let body = Int(parts.first ?? "") == nil ? rest : (parts.count > 1 ? parts[1] : "")
      guard position >= 1, position <= table.chains[at].rules.count + 1 else { return false }
      table.chains[at].rules.insert(rule(body), at: position - 1)
    case "-D":
      if let position = Int(rest) {
        guard position >= 1, position <= table.chains[at].rules.count else { return false }
        table.chains[at].rules.remove(at: position - 1)
      } else {
        guard let found = table.chains[at].rules.firstIndex(of: rule(rest)) else { return false }
        table.chains[at].rules.remove(at: found)
      }
    case "-F": table.chains[at].rules = []
    case "-X":
      guard table.chains[at].rules.isEmpty else { return false }
      let name = words[1]
      let calls = table.chains.contains { $0.rules.contains { targets($0).contains(name) } }
      guard !calls else { return false }
      table.chains.remove(at: at)
    case "-P": table.chains[at].policy = rest
    default: return false
    }
    return true
  }

  private static func targets(_ rule: Rule) -> [String] {
    let words = String(decoding: rule.bytes, as: UTF8.self).split(separator: " ").map(String.init)
    return zip(words, words.dropFirst()).filter { ["-j", "-g"].contains($0.0) }.map(\.1)
  }

  private static func requireWhole(
    _ table: RuleTable, _ refuse: (String) -> FirewallProblem
  ) throws(FirewallProblem) {
    let known = Set(table.chains.map(\.name))
    for target in table.chains.flatMap(\.rules).flatMap(targets)
    where target != target.uppercased() || target.hasPrefix("PCL") {
      guard known.contains(target) else { throw refuse("no chain \(target)") }
    }
  }
}
