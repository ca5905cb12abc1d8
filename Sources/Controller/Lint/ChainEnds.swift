/// Which rules of a table let none of their packets go on to the next rule. Chains are looked through once each.
struct ChainEnds {
  private static let maximumDepth = 64

  private let table: TableView
  private var deciding: [String: Bool] = [:]
  private var changing: [String: Bool] = [:]
  private var dropping: [String: Bool] = [:]

  init(_ table: TableView) { self.table = table }

  /// Whatever the rule matches, no later rule of its chain sees.
  mutating func takesAll(_ rule: RuleView, depth: Int = 0) -> Bool {
    guard rule.isClear else { return false }
    switch rule.target {
    case .none: return false
    case .goTo(let name): return table[chain: name] != nil
    case .jump(let name):
      if table[chain: name] != nil { return decides(name, depth: depth + 1) }
      switch TargetKind(name) {
      case .accept, .drop, .comeBack: return true
      case .translate: return table.name == "nat"
      case .goOn, .change, .other: return false
      }
    }
  }

  /// No packet comes back from the chain.
  private mutating func decides(_ name: String, depth: Int) -> Bool {
    if let known = deciding[name] { return known }
    guard let chain = table[chain: name], depth <= Self.maximumDepth else { return false }
    // Until it is known: a chain that calls itself decides nothing.
    deciding[name] = false
    var result = false
    for rule in chain.rules {
      guard rule.isClear, case .jump(let target) = rule.target, target != "RETURN" else {
        if rule.isClear, rule.target == .none { continue }
        break
      }
      if rule.isUnconditional, takesAll(rule, depth: depth) {
        result = true
        break
      }
    }
    deciding[name] = result
    return result
  }

  /// The rule drops some or all of what it takes, rather than accepting all of it.
  mutating func drops(_ rule: RuleView, depth: Int = 0) -> Bool {
    guard case .jump(let name) = rule.target else { return false }
    if TargetKind(name) == .drop, table[chain: name] == nil { return true }
    if let known = dropping[name] { return known }
    guard let chain = table[chain: name], depth <= Self.maximumDepth else { return false }
    dropping[name] = false
    var result = false
    for rule in chain.rules where !result { result = drops(rule, depth: depth + 1) }
    dropping[name] = result
    return result
  }

  /// A packet may be another one for the rules behind.
  mutating func mayChange(_ rule: RuleView, depth: Int = 0) -> Bool {
    guard rule.isClear else { return true }
    switch rule.target {
    case .none: return false
    case .jump(let name), .goTo(let name):
      guard let chain = table[chain: name] else {
        switch TargetKind(name) {
        case .accept, .drop, .comeBack, .goOn: return false
        case .change, .translate, .other: return true
        }
      }
      if let known = changing[name] { return known }
      guard depth <= Self.maximumDepth else { return true }
      changing[name] = true
      var result = false
      for rule in chain.rules where !result { result = mayChange(rule, depth: depth + 1) }
      changing[name] = result
      return result
    }
  }

  /// A second one like it would do nothing that the first did not, except to log or count once more.
  mutating func isRepeatable(_ rule: RuleView) -> Bool {
    guard rule.isClear, !rule.opaque.contains(where: { !$0.isStateless }) else { return false }
    switch rule.target {
    // It may be there to count.
    case .none, .goTo: return false
    case .jump(let name): return table[chain: name] != nil || TargetKind(name) == .goOn
    }
  }
}
