package import Core
package import Ruleset

/// One family's ruleset with every rule taken apart once.
package struct RulesetView: Sendable {
  package let family: Family
  package let tables: [TableView]

  package init(_ ruleset: Ruleset, _ family: Family) {
    self.family = family
    tables = ruleset.tables.map(TableView.init)
  }

  package subscript(table name: String) -> TableView? { tables.first { $0.name == name } }
}

package struct TableView: Sendable {
  package let name: String
  package let chains: [ChainView]
  private let indices: [String: Int]

  init(_ table: RuleTable) {
    self.init(name: table.name, chains: table.chains.map(ChainView.init))
  }

  private init(name: String, chains: [ChainView]) {
    self.name = name
    self.chains = chains
    indices = Dictionary(chains.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  func mapping(_ change: (ChainView) -> ChainView) -> TableView { TableView(name: name, chains: chains.map(change)) }

  package subscript(chain name: String) -> ChainView? { indices[name].map { chains[$0] } }
}

package struct ChainView: Sendable {
  package let name: String
  /// ACCEPT or DROP; nil for a chain that is not built in.
  package let policy: String?
  package let rules: [RuleView]

  init(name: String, policy: String?, rules: [RuleView]) {
    self.name = name
    self.policy = policy
    self.rules = rules
  }

  init(_ chain: RuleChain) {
    name = chain.name
    policy = chain.policy
    rules = chain.rules.map(RuleView.init)
  }
}

/// What targets do with a packet, as far as the rules behind them are concerned.
package enum TargetKind {
  case accept
  case drop
  case comeBack
  /// The next rule is tried with the same packet.
  case goOn
  /// The next rule is tried with a packet that was changed, or whose marks or sets were.
  case change
  /// The packet goes on to the next table with other addresses.
  case translate
  /// A chain of the table, or a target that nothing is known of.
  case other

  package init(_ name: String) {
    switch name {
    case "ACCEPT": self = .accept
    case "DROP", "REJECT": self = .drop
    case "RETURN": self = .comeBack
    case "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "RATEEST", "IDLETIMER", "LED", "TEE", "ACCOUNT", "LOGMARK":
      self = .goOn
    case "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "MARK", "NOTRACK",
      "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TOS", "TTL":
      self = .change
    case "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "DNPT", "SNPT": self = .translate
    default: self = .other
    }
  }
}
