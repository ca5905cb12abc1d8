// What a layer shuts, by its rules alone.

extension LockLayer {
  /// Whether every chain drops whatever it does not name, and names nothing by its connection's state: then what lived
  /// before lives on only where it could begin anew.
  package var endsOldFlows: Bool {
    chains.allSatisfy { Self.dropsTheRest($0) && !$0.rules.contains(where: Self.returnsByState) }
  }

  /// The first chain, as it is called without our prefix, that drops what it does not name here and lets it go on in
  /// another layer; nil where there is none.
  package func chainOpened(by other: LockLayer) -> String? {
    zip(Self.hooked, zip(chains, other.chains)).first { _, pair in
      Self.dropsTheRest(pair.0) && !Self.dropsTheRest(pair.1)
    }?.0
  }

  private static func dropsTheRest(_ chain: RuleChain) -> Bool {
    chain.rules.last == Rule(text: Array("-A \(chain.name) -j DROP".utf8))
  }

  /// One that cannot be read may do so.
  private static func returnsByState(_ rule: Rule) -> Bool {
    guard RuleShape(rule).target == .jump("RETURN") else { return false }
    return rule.parts()?.contains { ["--ctstate", "--state"].contains($0.option) } ?? true
  }
}
