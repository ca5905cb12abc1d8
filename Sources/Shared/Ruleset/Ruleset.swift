/// One family's packet filter as iptables-save text says it: tables, chains and rules, without counters, dates and
/// comment lines.
///
/// There are two ways in, because there are two kinds of text. What people write and what bundles carry goes through
/// `parse(policy:file:family:)`, which accepts only what every backend loads in the same way. What a host prints goes
/// through `parse(save:file:)`, which accepts every match and table there may be, and is never loaded anywhere.
package struct Ruleset: Hashable, Sendable {
  /// In the order of the text they came from.
  package var tables: [RuleTable]

  package init(tables: [RuleTable] = []) { self.tables = tables }

  package var tableNames: [String] { tables.map(\.name) }

  /// Rules only: chains, policies and tables do not count.
  package var ruleCount: Int { tables.reduce(0) { $0 + $1.ruleCount } }

  package subscript(table name: String) -> RuleTable? { tables.first { $0.name == name } }

  /// Only these tables, in the same order. Names that do not occur are no error.
  package func restricted(to names: Set<String>) -> Ruleset {
    Ruleset(tables: tables.filter { names.contains($0.name) })
  }

  /// Adds the built-in chains that a table leaves out, as ACCEPT, after those it has.
  ///
  /// Loading a table that leaves one out resets it to ACCEPT in the nft backend and keeps it as it was in the legacy
  /// one, so what is loaded must name them all.
  package func declaringAllBuiltInChains() -> Ruleset {
    var complete = self
    for index in complete.tables.indices {
      let declared = Set(complete.tables[index].chains.map(\.name))
      for name in BuiltInChains.chains(of: complete.tables[index].name) ?? [] where !declared.contains(name) {
        complete.tables[index].chains.append(RuleChain(name: name, policy: "ACCEPT"))
      }
    }
    return complete
  }

  /// Restore text that empties these tables: every built-in chain ACCEPT, no rules, no user chains. Tables that the
  /// kernel does not have built in are left out, as there is nothing known to declare in them.
  package static func clearing(tables names: Set<String>) -> [UInt8] {
    var text: [UInt8] = []
    for name in names.sorted(by: bytewise) {
      guard let chains = BuiltInChains.chains(of: name) else { continue }
      text += Array("*\(name)\n".utf8)
      for chain in chains.sorted(by: bytewise) { text += Array(":\(chain) ACCEPT [0:0]\n".utf8) }
      text += Array("COMMIT\n".utf8)
    }
    return text
  }
}

package struct RuleTable: Hashable, Sendable {
  package let name: String
  /// In the order of their declarations.
  package var chains: [RuleChain]

  package init(name: String, chains: [RuleChain] = []) {
    self.name = name
    self.chains = chains
  }

  package var ruleCount: Int { chains.reduce(0) { $0 + $1.rules.count } }

  package subscript(chain name: String) -> RuleChain? { chains.first { $0.name == name } }

  /// Neither rules nor user chains, and every policy ACCEPT: the table does nothing. On legacy, merely listing a table
  /// makes such a one.
  package var isIdle: Bool { chains.allSatisfy { $0.policy == "ACCEPT" && $0.rules.isEmpty } }
}

package struct RuleChain: Hashable, Sendable {
  package let name: String
  /// ACCEPT or DROP; nil for a chain that is not built in.
  package var policy: String?
  package var rules: [Rule]

  package init(name: String, policy: String?, rules: [Rule] = []) {
    self.name = name
    self.policy = policy
    self.rules = rules
  }
}

/// One rule, held as the bytes that were printed: two rules are the same when their bytes are.
package struct Rule: Sendable {
  /// A view into the text that was parsed, so that a ruleset of a hundred thousand rules is one buffer.
  package let bytes: ArraySlice<UInt8>
  /// The line it came from, counted from 1; 0 for a rule that came from no file. Not part of a rule's identity.
  package let line: Int

  package init(bytes: ArraySlice<UInt8>, line: Int = 0) {
    self.bytes = bytes
    self.line = line
  }

  package init(text: [UInt8], line: Int = 0) { self.init(bytes: text[...], line: line) }

  /// The line as printed, without counters and trailing spaces, starting `-A CHAIN`.
  package var text: [UInt8] { Array(bytes) }
}

extension Rule: Hashable {
  package static func == (a: Rule, b: Rule) -> Bool { a.bytes == b.bytes }

  package func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

/// The order of everything that is hashed: by bytes, never by locale or Unicode rules.
func bytewise(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
