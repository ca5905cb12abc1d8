internal import Core

extension OthersReport {
  func write(to out: inout ByteWriter) {
    let listed = tables.prefix(WireLimit.foreignTables)
    out.clamped(tables.count - listed.count + omittedTables)
    out.clamped(listed.count)
    for table in listed {
      out.clipped(table.family, to: WireLimit.tableFamily)
      out.clipped(table.name, to: WireLimit.foreignTable)
      out.optional(table.owner) { out, owner in out.text(owner.rawValue) }
      out.bool(table.isHooked)
      out.bool(table.drops)
      out.digest(table.digest)
    }
    let parts = chains.prefix(WireLimit.foreignChains)
    out.clamped(parts.count)
    for part in parts {
      out.family(part.family)
      out.optional(part.owner) { out, owner in out.text(owner.rawValue) }
      out.clamped(part.rules)
      out.digest(part.digest)
    }
    for family in Family.allCases { out.optional(otherBackend[family]) { $0.digest($1) } }
    let named = sets.prefix(WireLimit.foreignSets)
    out.clamped(sets.count - named.count + omittedSets)
    out.clamped(named.count)
    for name in named { out.clipped(name, to: WireLimit.setName) }
    out.optional(problem) { out, why in out.clipped(why, to: WireLimit.reason) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    self.init()
    omittedTables = Int(try reader.uint32("number of tables left out"))
    for _ in 0..<(try reader.count("number of foreign tables", atMost: WireLimit.foreignTables)) {
      tables.append(
        Table(
          family: try reader.text("family of table", atMost: WireLimit.tableFamily),
          name: try reader.text("foreign table", atMost: WireLimit.foreignTable),
          owner: try reader.optional("owner of table") { (reader) throws(ByteReader.Problem) in
            try reader.named("owner of table", TableOwner.init(rawValue:))
          },
          isHooked: try reader.bool("hooked"), drops: try reader.bool("drops"),
          digest: try reader.digest("digest of table")))
    }
    for _ in 0..<(try reader.count("number of foreign chains", atMost: WireLimit.foreignChains)) {
      chains.append(
        Chains(
          family: try reader.family(),
          owner: try reader.optional("owner of chains") { (reader) throws(ByteReader.Problem) in
            try reader.named("owner of chains", ForeignOwner.init(rawValue:))
          },
          rules: Int(try reader.uint32("number of rules")), digest: try reader.digest("digest of chains")))
    }
    otherBackend = try PerFamily { (_) throws(ByteReader.Problem) in
      try reader.optional("other backend") { (reader) throws(ByteReader.Problem) in
        try reader.digest("digest of other backend")
      }
    }
    omittedSets = Int(try reader.uint32("number of sets left out"))
    for _ in 0..<(try reader.count("number of foreign sets", atMost: WireLimit.foreignSets)) {
      sets.append(try reader.text("foreign set", atMost: WireLimit.setName))
    }
    problem = try reader.optional("problem") { (reader) throws(ByteReader.Problem) in
      try reader.text("problem", atMost: WireLimit.reason)
    }
  }
}

extension Renewal {
  func write(to out: inout ByteWriter) {
    out.clipped(from, to: WireLimit.programs)
    out.clipped(to, to: WireLimit.programs)
    out.time(at)
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    self.init(
      from: try reader.text("programs before", atMost: WireLimit.programs),
      to: try reader.text("programs after", atMost: WireLimit.programs), at: try reader.time("time of renewal"))
  }
}

extension ByteReader {
  /// A word that is one of a closed set.
  fileprivate mutating func named<Value>(_ field: String, _ read: (String) -> Value?) throws(Problem) -> Value {
    guard let value = read(try text(field, atMost: WireLimit.owner)) else { throw .malformed(field: field) }
    return value
  }
}
