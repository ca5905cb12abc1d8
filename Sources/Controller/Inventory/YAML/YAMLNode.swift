package import Core

/// A value in a YAML file and where it stands. Readers take a list of problems, add theirs, and return nil.
package struct YAMLNode: Sendable {
  package enum Content: Sendable {
    /// Nothing, `~` or `null`, unquoted.
    case null
    /// The value's own text, with quotes and escapes undone and nothing interpreted.
    case scalar(String)
    case list([YAMLNode])
    case mapping([Entry])
  }

  package struct Entry: Sendable {
    package let key: String
    package let keyLocation: SourceLocation
    package let value: YAMLNode
    /// The key had no quotes.
    var hasPlainKey = false
  }

  /// How a scalar was written: what YAML 1.1 makes of `no` depends on it.
  enum Style: Hashable, Sendable {
    case quoted
    case plain
    /// A bare word of JSON.
    case literal
  }

  package let location: SourceLocation
  /// An explicit tag such as `!vault`: only a reader that ignores the value accepts it.
  package let tag: String?
  package let content: Content
  var style = Style.quoted
  /// Of a block (`|`), whose lines stand below each other in the file: where its first line begins.
  package internal(set) var blockStart: SourceLocation?
  var isFromJSON = false

  package var isNull: Bool { if case .null = content { tag == nil } else { false } }

  /// What it is, as messages call it.
  package var kindName: String {
    if let tag { return "a value tagged \(quoted(tag))" }
    switch content {
    case .null: return "nothing"
    case .scalar(let text): return "the text \(quoted(text))"
    case .list: return "a list"
    case .mapping: return "a mapping"
    }
  }

  /// The text, which may be empty only if it is quoted.
  package func string(_ problems: inout Problems) -> String? {
    guard tag == nil, case .scalar(let text) = content else { return mismatch("a text", &problems) }
    return text
  }

  /// A decimal integer of this range: digits only, no leading zero, nothing YAML makes of it.
  package func integer(in range: ClosedRange<Int>, _ problems: inout Problems) -> Int? {
    guard tag == nil, case .scalar(let text) = content else { return mismatch("a number", &problems) }
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    let isDecimal =
      !digits.isEmpty && digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      && (digits.utf8.count == 1 || digits.utf8.first != UInt8(ascii: "0"))
    guard isDecimal, let value = Int(text), range.contains(value) else {
      problems.add(
        location, "expected a number from \(range.lowerBound) to \(range.upperBound), found \(kindName)")
      return nil
    }
    return value
  }

  /// `true` or `false`, and no other spelling.
  package func bool(_ problems: inout Problems) -> Bool? {
    guard tag == nil, case .scalar(let text) = content, text == "true" || text == "false" else {
      return mismatch("true or false", &problems)
    }
    return text == "true"
  }

  /// A time span of at least one second written `90s`, `15m`, `12h` or `7d`; at most ten years.
  package func duration(_ problems: inout Problems) -> Duration? {
    guard tag == nil, case .scalar(let text) = content else { return mismatch("a time span such as 15m", &problems) }
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let unit = text.last.flatMap({ units[$0] }),
      text.utf8.dropLast().allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let count = Int64(text.dropLast()), count > 0, count <= 10 * 365 * 86_400 / unit
    else {
      return mismatch("a time span such as 90s, 15m, 12h or 7d", &problems)
    }
    return .seconds(count * unit)
  }

  package func list(_ problems: inout Problems) -> [YAMLNode]? {
    guard tag == nil, case .list(let nodes) = content else { return mismatch("a list", &problems) }
    return nodes
  }

  /// A list of texts; wrong elements are reported and left out.
  package func strings(_ problems: inout Problems) -> [String]? {
    guard let nodes = list(&problems) else { return nil }
    var texts: [String] = []
    for node in nodes { if let text = node.string(&problems) { texts.append(text) } }
    return texts
  }

  /// A mapping with any keys.
  package func entries(_ problems: inout Problems) -> [Entry]? {
    guard tag == nil, case .mapping(let entries) = content else { return mismatch("a mapping", &problems) }
    return entries
  }

  /// A mapping with these keys and no others.
  package func mapping(allowing keys: [String], _ problems: inout Problems) -> YAMLMapping? {
    guard let entries = entries(&problems) else { return nil }
    var known: [String: Entry] = [:]
    for entry in entries {
      if keys.contains(entry.key) {
        known[entry.key] = entry
      } else {
        problems.add(
          entry.keyLocation, "unknown key \(quoted(entry.key))",
          hint: nearestHint(entry.key, among: keys) ?? "known here: \(keys.joined(separator: ", "))")
      }
    }
    return YAMLMapping(location: location, entriesByKey: known)
  }

  private func mismatch<Value>(_ expected: String, _ problems: inout Problems) -> Value? {
    problems.add(location, "expected \(expected), found \(kindName)")
    return nil
  }
}

/// A mapping whose keys are all known ones.
package struct YAMLMapping: Sendable {
  package let location: SourceLocation
  let entriesByKey: [String: YAMLNode.Entry]

  package subscript(key: String) -> YAMLNode? { entriesByKey[key]?.value }

  package func has(_ key: String) -> Bool { entriesByKey[key] != nil }

  package func keyLocation(_ key: String) -> SourceLocation? { entriesByKey[key]?.keyLocation }

  /// The same but for one key.
  package func without(_ key: String) -> YAMLMapping {
    YAMLMapping(location: location, entriesByKey: entriesByKey.filter { $0.key != key })
  }

  /// The value of a key that must be there; its absence is reported at the mapping.
  package func required(_ key: String, _ problems: inout Problems) -> YAMLNode? {
    guard let value = self[key] else {
      problems.add(location, "the key \(quoted(key)) is missing")
      return nil
    }
    return value
  }
}
