extension RuleView {
  /// True only if every packet that matches `other` surely matches this rule.
  ///
  /// Matches that are not taken apart count only when the other rule has the very same, and when they give the same
  /// packet the same answer twice; what goes by rate, chance or time never does.
  package func covers(_ other: RuleView) -> Bool {
    guard isClear else { return false }
    guard other.isClear else { return isUnconditional }
    return Self.covers(transport, other.transport) && Self.covers(destinationPorts, other.destinationPorts)
      && Self.covers(sourcePorts, other.sourcePorts) && Self.covers(source, other.source)
      && Self.covers(destination, other.destination) && Self.covers(input, other.input)
      && Self.covers(output, other.output) && Self.covers(states, other.states) && Self.covers(icmp, other.icmp)
      && Self.covers(tcpFlags, other.tcpFlags)
      && opaque.allSatisfy { $0.isStateless && other.opaque.contains($0) }
  }

  /// They match the same packets and do the same with them.
  package func isDuplicate(of other: RuleView) -> Bool {
    target == other.target && targetOptions == other.targetOptions && covers(other) && other.covers(self)
  }

  /// True only if no packet surely matches both. States are passed over: packets of one connection differ in them.
  package func isDisjoint(from other: RuleView) -> Bool {
    guard isClear, other.isClear else { return false }
    func differ<Pattern>(_ part: KeyPath<RuleView, Negatable<Pattern>?>) -> Bool {
      self[keyPath: part]?.isDisjoint(from: other[keyPath: part]) ?? false
    }
    func differ(_ part: KeyPath<RuleView, PortSet?>) -> Bool {
      guard let mine = self[keyPath: part], let others = other[keyPath: part] else { return false }
      return mine.intersection(others).ranges.isEmpty
    }
    return differ(\.transport) || differ(\.source) || differ(\.destination) || differ(\.input) || differ(\.output)
      || differ(\.sourcePorts) || differ(\.destinationPorts)
  }

  private static func covers<Pattern>(_ a: Negatable<Pattern>?, _ b: Negatable<Pattern>?) -> Bool {
    a?.covers(b) ?? true
  }

  private static func covers(_ a: PortSet?, _ b: PortSet?) -> Bool {
    guard let a else { return true }
    return b.map(a.contains) ?? false
  }

  private static func covers(_ a: ConnectionStates?, _ b: ConnectionStates?) -> Bool {
    guard let a else { return true }
    return b.map(a.isSuperset) ?? false
  }
}
