/// One family's policy as chains of our own, hooked from the built-in ones, so that it lives beside other people's rules.
package struct OwnedRules: Hashable, Sendable {
  /// Where one of our chains is called from.
  package struct Hook: Hashable, Sendable {
    package let table: String
    /// Built in, or `DOCKER-USER`.
    package let chain: String
    /// Ours.
    package let target: String
    /// Of somebody else, so that there may be no such chain; then there is no hook either.
    package let isForeign: Bool
    package init(table: String, chain: String, target: String, isForeign: Bool) {
      self.table = table
      self.chain = chain
      self.target = target
      self.isForeign = isForeign
    }
  }

  /// Only chains of ours, under our names; tables and chains in canonical order.
  package internal(set) var tables: [RuleTable]
  package internal(set) var hooks: [Hook]
  /// Built-in policies that we set: table, chain, ACCEPT or DROP.
  package internal(set) var policies: [String: [String: String]]

  /// Nothing of ours.
  package static let none = OwnedRules(tables: [], hooks: [], policies: [:])

  init(tables: [RuleTable], hooks: [Hook], policies: [String: [String: String]]) {
    self.tables = tables
    self.hooks = hooks
    self.policies = policies
  }
}

/// A rule of somebody else that stood above our hook and was moved below it.
package struct TakenRule: Hashable, Sendable {
  package let table: String
  package let chain: String
  /// As the save program printed it.
  package let rule: [UInt8]
  /// Where it stood, counted from 1.
  package let position: Int
  package init(table: String, chain: String, rule: [UInt8], position: Int) {
    self.table = table
    self.chain = chain
    self.rule = rule
    self.position = position
  }

  /// Whichever version of the programs printed either.
  package func isSame(as other: TakenRule) -> Bool {
    table == other.table && chain == other.chain && position == other.position
      && (rule == other.rule || PlacedMeaning(Rule(text: rule)) == PlacedMeaning(Rule(text: other.rule)))
  }
}

/// A foreign rule above our hook, or above where it has to be, that accepts what the policy may drop.
package struct ForeignAccept: Hashable, Sendable {
  package let table: String
  package let chain: String
  /// As the save program printed it.
  package let rule: [UInt8]
  package init(table: String, chain: String, rule: [UInt8]) {
    self.table = table
    self.chain = chain
    self.rule = rule
  }
}
