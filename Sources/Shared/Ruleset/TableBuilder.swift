/// Collects one table's chains and rules in the order they are met. Rules mostly come chain by chain, so the chain met
/// last is found by comparing names; any other costs one look into a seeded hash table, whatever names an attacker picks.
struct TableBuilder {
  let name: String
  let line: Int
  private(set) var chains: [RuleChain] = []
  private var indices: [NameKey: Int] = [:]
  private var currentIndex = -1
  private var currentName: ArraySlice<UInt8> = []
  /// The rules of the current chain, moved out of `chains` so that appending never copies.
  private var currentRules: [Rule] = []

  init(name: String, line: Int) {
    self.name = name
    self.line = line
  }

  /// False when the chain is there already.
  mutating func declare(_ name: ArraySlice<UInt8>, policy: String?) -> Bool {
    let key = NameKey(name)
    // The first declaration stays the one that rules are added to.
    guard indices[key] == nil else { return false }
    indices[key] = chains.count
    chains.append(RuleChain(name: String(decoding: name, as: UTF8.self), policy: policy))
    return true
  }

  /// Takes the policy of a chain away; false when there is none with a policy.
  mutating func unhook(_ name: ArraySlice<UInt8>) -> Bool {
    guard let index = indices[NameKey(name)], chains[index].policy != nil else { return false }
    chains[index].policy = nil
    return true
  }

  /// False when the chain was not declared.
  mutating func append(_ rule: Rule, to name: ArraySlice<UInt8>) -> Bool {
    if currentIndex < 0 || currentName != name {
      guard let index = indices[NameKey(name)] else { return false }
      if currentIndex >= 0 { swap(&chains[currentIndex].rules, &currentRules) }
      swap(&chains[index].rules, &currentRules)
      currentIndex = index
      currentName = name
    }
    currentRules.append(rule)
    return true
  }

  mutating func finish() -> RuleTable {
    if currentIndex >= 0 { swap(&chains[currentIndex].rules, &currentRules) }
    currentIndex = -1
    currentRules = []
    return RuleTable(name: name, chains: chains)
  }
}
