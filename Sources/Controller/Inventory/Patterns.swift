package import Core

extension HostInventory {
  /// More than anybody types.
  static let patternLimit = 64 << 10

  /// The hosts that an Ansible pattern names, in inventory order, as `--limit` does.
  package func hosts(matching pattern: String) throws(Failure) -> [InventoryHost] {
    try indices(named: pattern).sorted().map { hosts[$0] }
  }

  /// The same hosts in the order in which the pattern names them, as Ansible's own arguments do.
  package func hosts(named pattern: String) throws(Failure) -> [InventoryHost] {
    try indices(named: pattern).map { hosts[$0] }
  }

  /// Parts stand between `,` or `:`; first all plain parts are joined, then every `&part` keeps only what it names too,
  /// then every `!part` takes away. A part is the name of a host or group, `all`, a glob (`web*`, `db-[ab]?`), a slice
  /// (`web[0]`, `web[0:2]` with both ends, `web[-1]`, `db*[0]`), a ClusterShell range (`web[01-50,60]`), `~REGEX`, or
  /// `@FILE` with patterns line by line. A part that names no host is an error, whatever the others name.
  private func indices(named pattern: String) throws(Failure) -> [Int] {
    guard pattern.utf8.count <= Self.patternLimit else {
      throw Failure("read the host pattern", because: Reason("it is longer than 64 KiB"), kind: .usage)
    }
    var plain = FirstIndices()
    var hasPlain = false
    var kept: Set<Int>?
    var removed: Set<Int> = []
    for part in try PatternPart.parts(of: pattern, in: self) {
      let indices = try part.indices()
      switch part.kind {
      case .kept: kept = kept?.intersection(indices) ?? Set(indices)
      case .removed: removed.formUnion(indices)
      case .plain:
        hasPlain = true
        plain.append(indices)
      }
    }
    guard hasPlain || kept != nil || !removed.isEmpty else {
      throw Failure(
        "find hosts", because: Reason("the pattern is empty"), hint: "\"all\" names every host", kind: .usage)
    }
    let selected = (hasPlain ? plain.all : Array(hosts.indices)).filter {
      kept?.contains($0) != false && !removed.contains($0)
    }
    guard !selected.isEmpty else {
      throw Failure(
        "find hosts", because: Reason("pattern \(quoted(pattern)) matches no host"),
        hint: hosts.isEmpty ? "the inventory holds no hosts" : "every part names hosts, but together they leave none",
        kind: .usage)
    }
    return selected
  }
}

/// Each index once, where it came first.
private struct FirstIndices {
  private(set) var all: [Int] = []
  private var seen: Set<Int> = []

  mutating func append(_ indices: [Int]) { all += indices.filter { seen.insert($0).inserted } }
}

/// One part of a pattern.
struct PatternPart {
  enum Kind { case plain, kept, removed }

  /// Parts of one pattern, those of its files counted in.
  private static let partLimit = 100_000

  let kind: Kind
  let inventory: HostInventory
  /// As typed, with its `&` or `!`.
  private let part: String
  let body: String
  private let isFromFile: Bool

  private init(_ part: String, of inventory: HostInventory, isFromFile: Bool = false) {
    self.part = part
    self.inventory = inventory
    self.isFromFile = isFromFile
    kind = part.hasPrefix("&") ? .kept : part.hasPrefix("!") ? .removed : .plain
    body = kind == .plain ? part : String(part.dropFirst())
  }

  static func parts(of pattern: String, in inventory: HostInventory) throws(Failure) -> [PatternPart] {
    var parts: [PatternPart] = []
    for text in split(pattern) {
      // What a file says is said in its place, with its & and !.
      if text.hasPrefix("@") {
        parts += try fileParts(text, of: inventory)
      } else {
        parts.append(PatternPart(text, of: inventory))
      }
    }
    return parts
  }

  /// At commas outside of brackets; where there is none, and the whole is no host name with a range, at colons and
  /// blanks. The colon of `(?:` separates nothing.
  static func split(_ pattern: String) -> [String] {
    let byCommas = Folding.split(pattern, at: [",", "\n"])
    if byCommas.count > 1 {
      return byCommas.map { $0.trimming(while: { $0 == " " || $0 == "\t" || $0 == "\r" }) }.filter { !$0.isEmpty }
    }
    if HostPattern.isHostName(pattern[...]) || pattern.hasPrefix("@") { return [pattern] }
    var parts = [""]
    var rest = pattern[...]
    while let character = rest.popFirst() {
      if character == "[", let close = rest.firstIndex(of: "]") {
        parts[parts.count - 1] += "[" + rest[...close]
        rest = rest[rest.index(after: close)...]
      } else if character == ":" ? !parts[parts.count - 1].hasSuffix("(?") : character.isWhitespace {
        parts.append("")
      } else {
        parts[parts.count - 1].append(character)
      }
    }
    return parts.filter { !$0.isEmpty }
  }

  /// Indices of the hosts it names, never none.
  func indices() throws(Failure) -> [Int] {
    if body.hasPrefix("@") { return try fileIndices() }
    if body.hasPrefix("~") { return try found(PatternRegex(body.dropFirst().description).indices(in: inventory)) }
    if kind == .plain, let host = inventory.index(ofHost: body) { return [host] }
    if let indices = try bracketIndices() { return indices }
    return try found(matches(of: body), in: inventory.group(named: body))
  }

  /// What a name or glob stands for, in Ansible's order and with its repetitions, which slices count: hosts of the groups
  /// it names, then hosts it names itself.
  private func matches(of name: String) -> [Int] {
    guard name.contains(where: { "*?[".contains($0) }) else {
      let host = inventory.index(ofHost: name).map { [$0] } ?? []
      guard let group = inventory.group(named: name) else { return host }
      return name.contains(".") ? group.hostIndices + host : group.hostIndices
    }
    let glob = Glob(name)
    let groups = inventory.groupsAsNamed.map { inventory.groups[$0] }.filter { glob.matches($0.name) }
    return groups.flatMap(\.hostIndices)
      + inventory.hostsAsNamed.filter { glob.matches(inventory.hosts[$0].id.description) }
  }

  /// `[…]` at the end of what names hosts is a slice; otherwise digits in brackets are a range of names. Nil leaves it
  /// to the glob. `web[0-2]`, which Ansible takes for a slice too, is one only where no host is called `web0`.
  private func bracketIndices() throws(Failure) -> [Int]? {
    guard body.contains("[") || body.contains("]") else { return nil }
    let slice = PatternSlice(body)
    if let slice, !slice.isDashed {
      let base = matches(of: slice.base)
      if !base.isEmpty { return try found(slice.apply(to: base)) }
    }
    let names: [String]
    do throws(Reason) {
      names = try body.contains(":") ? HostRange.expand(body, limit: Folding.expansionLimit) : Folding.expand(body)
    } catch {
      if let slice { return try sliced(slice) }
      return nil
    }
    let known = names.compactMap(inventory.index(ofHost:))
    if known.isEmpty {
      guard let slice else { return nil }
      return try sliced(slice)
    }
    if known.count < names.count {
      // Of a range that was mistyped, not all of a hundred thousand names.
      let gone = names.lazy.filter { inventory.index(ofHost: $0) == nil }.prefix(500)
      let more = names.count - known.count - gone.count
      let missing = Folding.fold(Array(gone)) + (more > 0 ? " and \(more) more" : "")
      let verb = gone.count == 1 ? "is" : "are"
      throw Failure(
        "find hosts", because: Reason("of \(quoted(part)), \(missing) \(verb) not in the inventory"),
        hint: "\(quoted("\(body.prefix { $0 != "[" })*")) names those that are", kind: .usage)
    }
    return known
  }

  private func sliced(_ slice: PatternSlice) throws(Failure) -> [Int]? {
    let base = matches(of: slice.base)
    return base.isEmpty ? nil : try found(slice.apply(to: base))
  }

  private func fileIndices() throws(Failure) -> [Int] {
    guard !isFromFile else { throw Self.nested(part) }
    var indices = FirstIndices()
    for part in try Self.fileParts(body, of: inventory) {
      guard part.kind == .plain else {
        throw Failure(
          "find hosts", because: Reason("\(quoted(part.part)) in a file that stands behind & or !"), kind: .usage)
      }
      indices.append(try part.indices())
    }
    return try found(indices.all)
  }

  private static func fileParts(_ text: String, of inventory: HostInventory) throws(Failure) -> [PatternPart] {
    let path = String(text.dropFirst())
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(path, limit: StrictYAML.sizeLimit)
    } catch {
      throw Failure("read hosts from \(SafeText.escape(path))", because: Reason(error.description), kind: .usage)
    }
    var parts: [PatternPart] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self)
      for part in split(text) {
        guard !part.drop(while: { $0 == "&" || $0 == "!" }).hasPrefix("@") else { throw nested(part) }
        parts.append(PatternPart(part, of: inventory, isFromFile: true))
      }
      guard parts.count <= partLimit else {
        throw Failure(
          "read hosts from \(SafeText.escape(path))", because: Reason("it holds more than \(partLimit) patterns"),
          kind: .usage)
      }
    }
    guard !parts.isEmpty else {
      throw Failure("read hosts from \(SafeText.escape(path))", because: Reason("it names no host"), kind: .usage)
    }
    return parts
  }

  private static func nested(_ part: String) -> Failure {
    Failure("find hosts", because: Reason("\(quoted(part)): a file of patterns may not name another"), kind: .usage)
  }

  private func found(_ indices: [Int], in group: InventoryGroup? = nil) throws(Failure) -> [Int] {
    guard indices.isEmpty else { return indices }
    guard let group else { throw nothing() }
    throw Failure(
      "find hosts", because: Reason("group \(quoted(group.name)) has no hosts"), kind: .usage)
  }

  private func nothing() -> Failure {
    let names = inventory.groups.map(\.name) + inventory.hosts.map(\.id.description)
    let hint =
      body.contains { "*?[~@".contains($0) } || names.contains(body)
      ? nil : NearestName.to(String(body.prefix(253)), among: names).map { "did you mean \(quoted($0))?" }
    return Failure(
      "find hosts", because: Reason("\(quoted(part)) matches no host or group of the inventory"),
      hint: hint ?? (inventory.hosts.isEmpty ? "the inventory holds no hosts" : "\"portcullis hosts\" lists them"),
      kind: .usage)
  }
}

extension String {
  fileprivate func trimming(while predicate: (Character) -> Bool) -> String {
    var text = self[...]
    while let first = text.first, predicate(first) { text.removeFirst() }
    while let last = text.last, predicate(last) { text.removeLast() }
    return String(text)
  }
}
