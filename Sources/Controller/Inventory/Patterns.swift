package import Core

extension HostInventory {
  /// More than anybody types.
  static let patternLimit = 64 << 10

  /// The hosts that an Ansible pattern names, in inventory order.
  ///
  /// Parts stand between `,` or `:`; first all plain parts are joined, then every `&part` keeps only what it names too,
  /// then every `!part` takes away. A part is the name of a group or host, `all`, a glob (`web*`, `db-[ab]?`), a slice
  /// of a group (`web[0]`, `web[0:2]` with both ends, `web[-1]`), a ClusterShell range (`web[01-50,60]`), `~REGEX`, or
  /// `@FILE` with one pattern a line. A part that names no host is an error, whatever the others name.
  package func hosts(matching pattern: String) throws(Failure) -> [InventoryHost] {
    guard pattern.utf8.count <= Self.patternLimit else {
      throw Failure("read the host pattern", because: Reason("it is longer than 64 KiB"), kind: .usage)
    }
    var pieces: [(text: String, indices: [Int])] = []
    var kept: [[Int]] = []
    var removed: [[Int]] = []
    for part in PatternPart.split(pattern) {
      let indices = try PatternPart(part, of: self).indices()
      switch part.first {
      case "&": kept.append(indices)
      case "!": removed.append(indices)
      default: pieces.append((part, indices))
      }
    }
    guard !pieces.isEmpty || !kept.isEmpty || !removed.isEmpty else {
      throw Failure(
        "find hosts", because: Reason("the pattern is empty"), hint: "\"all\" names every host", kind: .usage)
    }
    var selected = pieces.isEmpty ? Set(hosts.indices) : Set(pieces.flatMap(\.indices))
    for indices in kept { selected.formIntersection(indices) }
    for indices in removed { selected.subtract(indices) }
    guard !selected.isEmpty else {
      throw Failure(
        "find hosts", because: Reason("pattern \(quoted(pattern)) matches no host"),
        hint: hosts.isEmpty ? "the inventory holds no hosts" : "every part names hosts, but together they leave none",
        kind: .usage)
    }
    return selected.sorted().map { hosts[$0] }
  }
}

/// One part of a pattern.
struct PatternPart {
  private let inventory: HostInventory
  /// As typed, with its `&` or `!`.
  private let part: String
  private let body: String
  private let isFromFile: Bool

  init(_ part: String, of inventory: HostInventory, isFromFile: Bool = false) {
    self.part = part
    self.inventory = inventory
    self.isFromFile = isFromFile
    body = part.hasPrefix("&") || part.hasPrefix("!") ? String(part.dropFirst()) : part
  }

  /// At commas outside of brackets, or at colons where there is no comma. A regex runs to the next comma: it is full
  /// of colons itself. Blanks around a part do not count.
  static func split(_ pattern: String) -> [String] {
    let byCommas = Folding.split(pattern, at: [",", "\n"])
    let pieces = byCommas.count > 1 || pattern.contains("~") ? byCommas : Folding.split(pattern, at: [":"])
    return pieces.map { $0.trimming(while: { $0 == " " || $0 == "\t" || $0 == "\r" }) }.filter { !$0.isEmpty }
  }

  /// Ascending indices of the hosts it names, never none.
  func indices() throws(Failure) -> [Int] {
    if body.hasPrefix("@") { return try fileIndices() }
    if body.hasPrefix("~") { return try found(PatternRegex(body.dropFirst().description).indices(in: inventory)) }
    if body == "all" || body == "*" { return try found(Array(inventory.hosts.indices)) }
    if let group = inventory.group(named: body) { return try found(group.hostIndices, in: group) }
    if let host = inventory.index(ofHost: body) { return [host] }
    guard body.contains(where: { "*?[]".contains($0) }) else { throw nothing() }
    if let indices = try bracketIndices() { return indices }
    let glob = Glob(body)
    let byGroup = inventory.groups.filter { glob.matches($0.name) }.flatMap(\.hostIndices)
    let byName = inventory.hosts.indices.filter { glob.matches(inventory.hosts[$0].id.description) }
    return try found(Set(byGroup).union(byName).sorted())
  }

  /// `[…]` at the end of a group's name is a slice; otherwise digits in brackets are a range of names. Nil leaves it to
  /// the glob. `web[0-2]`, which Ansible takes for a slice too, is one only where no host is called `web0`.
  private func bracketIndices() throws(Failure) -> [Int]? {
    let slice = Slice(body)
    if let slice, !slice.isDashed, let group = groupHosts(slice.base) { return try found(slice.apply(to: group)) }
    let names: [String]
    do throws(Reason) {
      names = try body.contains(":") ? HostRange.expand(body, limit: Folding.expansionLimit) : Folding.expand(body)
    } catch {
      if let slice, let group = groupHosts(slice.base) { return try found(slice.apply(to: group)) }
      return nil
    }
    let known = names.compactMap(inventory.index(ofHost:))
    if known.isEmpty {
      if let slice, let group = groupHosts(slice.base) { return try found(slice.apply(to: group)) }
      return nil
    }
    if known.count < names.count {
      let gone = names.filter { inventory.index(ofHost: $0) == nil }
      throw Failure(
        "find hosts",
        because: Reason(
          "of \(quoted(part)), \(Folding.fold(gone)) \(gone.count == 1 ? "is" : "are") not in the inventory"),
        hint: "\(quoted("\(body.prefix { $0 != "[" })*")) names those that are", kind: .usage)
    }
    return known.sorted()
  }

  private func groupHosts(_ name: String) -> [Int]? {
    name == "*" ? Array(inventory.hosts.indices) : inventory.group(named: name)?.hostIndices
  }

  private func fileIndices() throws(Failure) -> [Int] {
    let path = String(body.dropFirst())
    guard !isFromFile else {
      throw Failure(
        "find hosts", because: Reason("\(quoted(part)): a file of patterns may not name another"), kind: .usage)
    }
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(path, limit: StrictYAML.sizeLimit)
    } catch {
      throw Failure("read hosts from \(SafeText.escape(path))", because: Reason(error.description), kind: .usage)
    }
    var indices: Set<Int> = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line, as: UTF8.self).prefix { $0 != "#" }
      for part in Self.split(String(text)) {
        guard !part.hasPrefix("&"), !part.hasPrefix("!") else {
          throw Failure(
            "read hosts from \(SafeText.escape(path))",
            because: Reason("\(quoted(part)): a line may only add hosts"), kind: .usage)
        }
        indices.formUnion(try PatternPart(part, of: inventory, isFromFile: true).indices())
      }
    }
    return try found(indices.sorted())
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

/// `GROUP[N]`, `GROUP[-N]`, `GROUP[A:B]`, `GROUP[A:]`, `GROUP[A-B]`; both ends count.
private struct Slice {
  let base: String
  let isDashed: Bool
  private let first: Int
  private let last: Int?

  init?(_ text: String) {
    guard text.hasSuffix("]"), let open = text.lastIndex(of: "["), open != text.startIndex else { return nil }
    base = String(text[..<open])
    let inside = text[text.index(after: open)...].dropLast()
    if let single = Int(inside), !inside.hasPrefix("+") {
      (first, last, isDashed) = (single, single, false)
      return
    }
    guard let separator = inside.firstIndex(where: { $0 == ":" || $0 == "-" }) else { return nil }
    let (low, high) = (inside[..<separator], inside[inside.index(after: separator)...])
    guard let first = UInt32(low), !low.hasPrefix("+") else { return nil }
    if high.isEmpty {
      last = nil
    } else {
      guard let end = UInt32(high), !high.hasPrefix("+") else { return nil }
      last = Int(end)
    }
    self.first = Int(first)
    isDashed = inside[separator] == "-"
  }

  func apply(to indices: [Int]) -> [Int] {
    if first < 0 { return -first <= indices.count && first > Int.min ? [indices[indices.count + first]] : [] }
    guard first < indices.count else { return [] }
    let end = min(last ?? indices.count - 1, indices.count - 1)
    return first <= end ? Array(indices[first...end]) : []
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
