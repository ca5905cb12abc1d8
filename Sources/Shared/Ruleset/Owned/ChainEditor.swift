/// One foreign chain as it will be after each line of restore text that changes it.
///
/// Rules are deleted by what they say, never by number: somebody else may have added one since the read.
struct ChainEditor {
  let chain: String
  private(set) var rules: [Rule]
  private(set) var lines: [[UInt8]] = []

  init(_ chain: RuleChain) {
    self.chain = chain.name
    rules = chain.rules
  }

  /// The first rule that says this, as the programs do.
  mutating func delete(_ rule: Rule) {
    guard let index = rules.firstIndex(of: rule) else { return }
    rules.remove(at: index)
    lines.append(Array("-D \(chain)".utf8) + rule.afterChain)
  }

  /// - Parameter index: counted from 0.
  mutating func insert(_ rule: Rule, at index: Int) {
    rules.insert(rule, at: index)
    lines.append(Array("-I \(chain) \(index + 1)".utf8) + rule.afterChain)
  }
}
