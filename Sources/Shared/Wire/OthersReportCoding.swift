internal import Core

extension OthersReport {
  func write(to out: inout ByteWriter) {
    let listed = tables.prefix(WireLimit.foreignTables)
    out.clamped(tables.count - listed.count + omittedTables)
    out.clamped(listed.count)
    for table in listed {
      out.clipped(table.family, to: WireLimit.tableFamily)
      out.clipped(table.name, to: WireLimit.foreignTable)
      out.optional(table.ownerWord) { out, owner in out.clipped(owner, to: WireLimit.owner) }
      out.bool(table.isHooked)
      out.bool(table.drops)
      out.digest(table.digest)
    }
    let parts = chains.prefix(WireLimit.foreignChains)
    out.clamped(parts.count)
    for part in parts {
      out.family(part.family)
      out.optional(part.ownerWord) { out, owner in out.clipped(owner, to: WireLimit.owner) }
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
      let family = try reader.text("family of table", atMost: WireLimit.tableFamily)
      let name = try reader.text("foreign table", atMost: WireLimit.foreignTable)
      let owner = try reader.optionalOwner("owner of table")
      var table = Table(
        family: family, name: name, owner: nil, isHooked: try reader.bool("hooked"), drops: try reader.bool("drops"),
        digest: try reader.digest("digest of table"))
      table.ownerWord = owner
      tables.append(table)
    }
    for _ in 0..<(try reader.count("number of foreign chains", atMost: WireLimit.foreignChains)) {
      let family = try reader.family()
      let owner = try reader.optionalOwner("owner of chains")
      var part = Chains(
        family: family, owner: nil, rules: Int(try reader.uint32("number of rules")),
        digest: try reader.digest("digest of chains"))
      part.ownerWord = owner
      chains.append(part)
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
  /// Software as agents call it. A newer agent knows some that this reader does not, and is to be heard all the same.
  mutating func owner(_ field: String) throws(Problem) -> String {
    let word = try text(field, atMost: WireLimit.owner)
    let isPlain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
      default: false
      }
    }
    guard isPlain, !word.isEmpty else { throw .malformed(field: field) }
    return word
  }

  fileprivate mutating func optionalOwner(_ field: String) throws(Problem) -> String? {
    try optional(field) { (reader) throws(Problem) in try reader.owner(field) }
  }
}
