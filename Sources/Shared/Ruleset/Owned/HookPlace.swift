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
  ///   - isFirst: there never was a hook, so that its place above an accept is not known to be right.
  ///   - mayTakeOver: an accept may be moved below the hook rather than it above the bans that follow.
  init(
    _ foreign: [Rule], present: Int?, isFirst: Bool, mayTakeOver: (Rule) -> Bool, isBan: (Rule) -> Bool,
    isForbidden: (Rule) -> Bool
  ) {
    if let present {
      position = present
      inTheWay = foreign.indices.prefix(present).filter { isForbidden(foreign[$0]) }
      guard let first = inTheWay.first else { return }
      if inTheWay.allSatisfy({ mayTakeOver(foreign[$0]) }), foreign[first..<present].contains(where: isBan) { return }
      position = first
      inTheWay = []
    } else {
      // What follows a rule for every packet is never reached.
      let reached = foreign.firstIndex { Self.endsChain($0) } ?? foreign.count
      position = foreign[..<reached].lastIndex(where: isBan).map { $0 + 1 } ?? 0
      inTheWay = foreign.indices.prefix(position).filter { isForbidden(foreign[$0]) }
      if !isFirst, let first = inTheWay.first, !inTheWay.allSatisfy({ mayTakeOver(foreign[$0]) }) {
        position = first
        inTheWay = []
      }
    }
  }

  private static func endsChain(_ rule: Rule) -> Bool {
    let shape = RuleShape(rule)
    guard shape.isUnconditional, case .jump(let target) = shape.target else { return false }
    return ["ACCEPT", "DROP", "REJECT", "RETURN"].contains(target)
  }
}
