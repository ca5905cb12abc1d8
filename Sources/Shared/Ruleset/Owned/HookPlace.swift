/// Where our hook belongs among the rules of other people in one chain.
///
/// Above every foreign rule that could accept what the policy may drop, but below the bans that stand there: accepting
/// above a ban list would readmit whom it bans. Where the two contradict, an accept stands above the bans: that is a
/// finding, until it is allowed, or moved below our hook.
struct HookPlace {
  /// How many foreign rules stand above the hook before any of them is moved.
  private(set) var position = 0
  /// Foreign accepts above that position that nobody allowed, by position.
  private(set) var inTheWay: [Int] = []

  /// - Parameters:
  ///   - foreign: all rules of the chain but ours.
  ///   - present: how many of them stand above the hook that is there.
  ///   - mayTakeOver: accepts may be moved below the hook rather than it above the bans that follow them.
  init(
    _ foreign: [Rule], present: Int?, mayTakeOver: Bool, isBan: (Rule) -> Bool, isForbidden: (Rule) -> Bool
  ) {
    if let present {
      position = present
      inTheWay = foreign.indices.prefix(present).filter { isForbidden(foreign[$0]) }
      guard let first = inTheWay.first else { return }
      if mayTakeOver, foreign[first..<present].contains(where: isBan) { return }
      position = first
      inTheWay = []
    } else {
      // What follows a rule for every packet is never reached.
      let reached = foreign.firstIndex { Self.endsChain($0) } ?? foreign.count
      position = foreign[..<reached].lastIndex(where: isBan).map { $0 + 1 } ?? 0
      inTheWay = foreign.indices.prefix(position).filter { isForbidden(foreign[$0]) }
    }
  }

  private static func endsChain(_ rule: Rule) -> Bool {
    let shape = RuleShape(rule)
    guard shape.isUnconditional, case .jump(let target) = shape.target else { return false }
    return ["ACCEPT", "DROP", "REJECT", "RETURN"].contains(target)
  }
}

/// Which foreign rules of one hooked chain let packets past our rules that these may drop.
struct BypassJudge {
  private let chain: String
  private let policy: String?
  private let allowed: Set<[UInt8]>
  private let allowsAll: Bool
  private let oursMayDrop: Bool
  /// What follows `-A CHAIN` in accepts of ours that stand before anything that may drop.
  private let ownAccepts: Set<ArraySlice<UInt8>>

  /// - Parameter tables: our chains of the hook's table, in each wording there is.
  init(_ hook: OwnedRules.Hook, tables: [RuleTable], policy: String?, allowed: [String]) {
    chain = hook.chain
    self.policy = policy
    self.allowed = Set(allowed.map { Array($0.utf8) })
    allowsAll = allowed.contains("*")
    var accepts: Set<ArraySlice<UInt8>> = []
    var mayDrop = false
    for table in tables {
      var verdicts = ForeignVerdicts(table)
      // The nat table only sees a flow's first packet, and never drops.
      mayDrop = mayDrop || (table.name != "nat" && verdicts.mayDrop(chain: hook.target))
      var chain = table[chain: hook.target]
      let inner = OwnedNames.inner(hook.chain)
      if table[chain: inner] != nil, !hook.isForeign { chain = table[chain: inner] }
      for rule in chain?.rules ?? [] {
        if RuleShape(rule).target == .jump("ACCEPT") { accepts.insert(rule.afterChain) }
        if verdicts.mayDrop(rule) { break }
      }
    }
    ownAccepts = accepts
    oursMayDrop = mayDrop
  }

  func forbids(_ rule: Rule, _ verdicts: inout ForeignVerdicts) -> Bool {
    guard oursMayDrop, !allowsAll, !allowed.contains(rule.text), !ownAccepts.contains(rule.afterChain) else {
      return false
    }
    return verdicts.mayBypass(rule, policy: policy)
  }
}
