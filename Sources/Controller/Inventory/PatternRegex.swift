internal import Core

/// `~REGEX` over the names of hosts and groups, matched from the beginning of the name as Ansible does.
///
/// The engine backtracks, so a pattern could take longer than the fleet lives: what makes it explode is refused
/// (repeated groups, back references, lookaround, more than three open repetitions, more than twelve choices). What is
/// left is polynomial in a host name's length.
struct PatternRegex {
  static let lengthLimit = 256
  private static let repetitionLimit = 3
  private static let choiceLimit = 12

  private let source: String
  private let regex: Regex<AnyRegexOutput>

  init(_ source: String) throws(Failure) {
    self.source = source
    if let reason = Self.refusal(of: source) { throw Self.failure(source, reason) }
    do {
      regex = try Regex(source)
    } catch {
      throw Self.failure(source, SafeText.escape("\(error)"))
    }
  }

  /// Hosts of the groups it names, then hosts it names itself, with repetitions.
  func indices(in inventory: HostInventory) -> [Int] {
    let groups = inventory.groupsAsNamed.map { inventory.groups[$0] }.filter { matches($0.name) }
    return groups.flatMap(\.hostIndices)
      + inventory.hostsAsNamed.filter { matches(inventory.hosts[$0].id.description) }
  }

  private func matches(_ name: String) -> Bool { (try? regex.prefixMatch(in: name)) != nil }

  private static func failure(_ source: String, _ reason: String) -> Failure {
    Failure("read the pattern \(quoted("~" + source))", because: Reason(reason), kind: .usage)
  }

  private static func refusal(of source: String) -> String? {
    guard !source.isEmpty else { return "the regular expression is empty" }
    guard source.utf8.count <= lengthLimit else { return "the regular expression is longer than \(lengthLimit) bytes" }
    var repetitions = 0
    var choices = 0
    var isInSet = false
    var previous: UInt8 = 0
    var bytes = Array(source.utf8)[...]
    while let byte = bytes.popFirst() {
      var current = byte
      if byte == UInt8(ascii: "\\") {
        guard let escaped = bytes.popFirst() else { return "it ends in a backslash" }
        if !isInSet, (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(escaped) || "gkKQXR".utf8.contains(escaped) {
          return "back references and \\\(SafeText.escape([escaped])) are not accepted"
        }
        current = 0
      } else if isInSet {
        if byte == UInt8(ascii: "]") { isInSet = false }
      } else {
        switch byte {
        case UInt8(ascii: "["): isInSet = true
        case UInt8(ascii: "(") where bytes.first == UInt8(ascii: "?") || bytes.first == UInt8(ascii: "*"):
          guard bytes.starts(with: "?:".utf8) else { return "of groups only (…) and (?:…) are accepted" }
          bytes.removeFirst(2)
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "{"):
          if previous == UInt8(ascii: ")") { return "a group may not be repeated" }
          repetitions += 1
        case UInt8(ascii: "|"), UInt8(ascii: "?"): choices += 1
        default: break
        }
      }
      previous = current
    }
    if choices > choiceLimit { return "it has more than \(choiceLimit) choices (| and ?)" }
    return repetitions > repetitionLimit ? "it has more than \(repetitionLimit) repetitions (* + {})" : nil
  }
}
