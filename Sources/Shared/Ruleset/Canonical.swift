package import Core

// The canonical form: one text for one filter, whichever backend printed it. Counters, dates and comment lines are gone
// (the parsers drop them), idle tables are left out, tables and chains stand by name, rules in order, as printed.

extension Ruleset {
  /// The same ruleset with its tables and chains in canonical order and without idle tables.
  package func ordered() -> Ruleset {
    var ordered = Ruleset(tables: tables.filter { !$0.isIdle }.sorted { bytewise($0.name, $1.name) })
    for index in ordered.tables.indices {
      ordered.tables[index].chains.sort { bytewise($0.name, $1.name) }
    }
    return ordered
  }

  /// Text that `iptables-restore` loads. Empty when nothing is filtered.
  package func canonical() -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(canonicalSizeEstimate)
    for table in ordered().tables { table.appendCanonical(to: &text) }
    return text
  }

  package var digest: Digest { Digest(of: canonical()) }

  /// The digest of each chain's own lines in canonical form (its declaration, then its rules), in canonical order, so
  /// that a difference can be located without the text.
  package func chainDigests() -> [(table: String, chain: String, digest: Digest)] {
    var digests: [(table: String, chain: String, digest: Digest)] = []
    var text: [UInt8] = []
    for table in ordered().tables {
      for chain in table.chains {
        text.removeAll(keepingCapacity: true)
        chain.appendDeclaration(to: &text)
        chain.appendRules(to: &text)
        digests.append((table.name, chain.name, Digest(of: text)))
      }
    }
    return digests
  }

  private var canonicalSizeEstimate: Int {
    tables.reduce(0) { size, table in
      table.chains.reduce(size + 32) { size, chain in
        chain.rules.reduce(size + 64) { size, rule in size + rule.bytes.count + 1 }
      }
    }
  }
}

extension RuleTable {
  fileprivate func appendCanonical(to text: inout [UInt8]) {
    text.append(UInt8(ascii: "*"))
    text.append(contentsOf: name.utf8)
    text.append(newline)
    for chain in chains { chain.appendDeclaration(to: &text) }
    for chain in chains { chain.appendRules(to: &text) }
    text.append(contentsOf: "COMMIT\n".utf8)
  }
}

extension RuleChain {
  /// `:CHAIN POLICY [0:0]`
  var declaration: String { ":\(name) \(policy ?? "-") [0:0]" }

  fileprivate func appendDeclaration(to text: inout [UInt8]) {
    text.append(contentsOf: declaration.utf8)
    text.append(newline)
  }

  fileprivate func appendRules(to text: inout [UInt8]) {
    for rule in rules {
      text.append(contentsOf: rule.bytes)
      text.append(newline)
    }
  }
}

let newline = UInt8(ascii: "\n")
