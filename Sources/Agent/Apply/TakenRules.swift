internal import Core
internal import Ruleset

/// Rules that were taken over, as a file beside the bundle that took them: one a line, family, table, chain, the position
/// it stood at, and the rule as printed.
enum TakenRulesFile {
  static let fileName = "taken"
  /// In bytes; far more than foreign accepts that anyone could have meant.
  static let maximumSize = 8 << 20

  static func encode(_ taken: PerFamily<[TakenRule]>) -> [UInt8] {
    var text: [UInt8] = []
    for family in Family.allCases {
      for rule in taken[family] {
        text += Array("\(family) \(rule.table) \(rule.chain) \(rule.position) ".utf8) + rule.rule + [10]
      }
    }
    return text
  }

  static func parse(_ text: [UInt8]) throws -> PerFamily<[TakenRule]> {
    var taken = PerFamily<[TakenRule]>(ipv4: [], ipv6: [])
    for line in text.split(separator: 10) {
      let words = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
      let texts = words.prefix(4).map { String(decoding: $0, as: UTF8.self) }
      guard words.count == 5, let family = Family(rawValue: texts[0]), let position = Int(texts[3]), position > 0,
        words[4].starts(with: "-A ".utf8)
      else { throw Reason("file \(fileName) is damaged") }
      taken[family].append(
        TakenRule(table: texts[1], chain: texts[2], rule: Array(words[4]), position: position))
    }
    return taken
  }
}

extension PerFamily where Value == [TakenRule] {
  static var none: Self { PerFamily(ipv4: [], ipv6: []) }

  func union(_ other: Self) -> Self {
    map { family, rules in rules + other[family].filter { new in !rules.contains { $0.isSame(as: new) } } }
  }

  func subtracting(_ other: Self) -> Self {
    map { family, rules in rules.filter { rule in !other[family].contains { $0.isSame(as: rule) } } }
  }

  var isEmpty: Bool { ipv4.isEmpty && ipv6.isEmpty }
}

extension Ruleset {
  /// As if we had never been there: without our chains and hooks, with rules that were taken over where they stood, and
  /// the policies that were found.
  func withoutOurs(givingBack taken: [TakenRule], policies: Policies, ours: Policies) -> Ruleset {
    var left = self
    for table in left.tables.indices {
      let name = left.tables[table].name
      left.tables[table].chains.removeAll { OwnedNames.isOurs($0.name) }
      for chain in left.tables[table].chains.indices {
        let place = left.tables[table].chains[chain]
        if ours[name]?[place.name] != nil {
          left.tables[table].chains[chain].policy = policies[name]?[place.name] ?? "ACCEPT"
        }
        var rules = place.rules.filter { !Self.callsOurs($0) }
        let back = taken.filter { $0.table == name && $0.chain == place.name }.sorted { $0.position < $1.position }
        for rule in back {
          guard let at = rules.place(of: rule) else { continue }
          rules.insert(rules.remove(at: at), at: min(rule.position - 1, rules.count))
        }
        left.tables[table].chains[chain].rules = rules
      }
    }
    return left
  }

  private static func callsOurs(_ rule: Rule) -> Bool {
    let words = rule.bytes.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
    return zip(words, words.dropFirst()).contains { ["-j", "-g"].contains($0) && OwnedNames.isOurs($1) }
  }
}
