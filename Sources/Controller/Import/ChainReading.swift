internal import Core
internal import Policy
internal import Ruleset

/// The rules of one chain and family, as the language says them: also several rules as one item.
struct ChainReading {
  private(set) var said: [Said] = []
  private let table: String
  private let chain: String
  private let family: Family
  /// Kinds of traffic with a name, those of most rules first.
  private let words: [(verb: String, name: String, rules: [String])]

  init(_ rules: [Rule], table: String, chain: String, _ family: Family, isTyped: Bool) {
    self.table = table
    self.chain = chain
    self.family = family
    guard isTyped else {
      words = []
      said = rules.map { .raw(String(decoding: $0.bytes, as: UTF8.self)) }
      return
    }
    words = table == "filter" ? Self.words(chain, family) : []
    let typed = rules.map { TypedRule($0, table: table, chain: chain, family) }
    var index = 0
    while index < rules.count {
      if let word = words.first(where: { Self.begins(rules[index...], $0.rules) }) {
        said.append(.word(verb: word.verb, word.name))
        index += word.rules.count
      } else if let (balance, rule) = Self.balance(typed[index...]) {
        said.append(.balance(rule, balance))
        index += balance.targets.count
      } else {
        said.append(Self.said(typed[index], rules[index]))
        index += 1
      }
    }
  }

  /// A share of connections means something only beside the others.
  private static func said(_ typed: TypedRule?, _ rule: Rule) -> Said {
    guard let typed, typed.share == nil else { return .raw(String(decoding: rule.bytes, as: UTF8.self)) }
    return .typed(typed)
  }

  // MARK: Words

  private static func words(_ chain: String, _ family: Family) -> [(verb: String, name: String, rules: [String])] {
    guard let hook = BuiltInHook(rawValue: chain.lowercased()) else { return [] }
    return [("accept", "ACCEPT"), ("drop", "DROP")].flatMap { verb, target in
      // What is the same in both families is one rule, which is typed by itself.
      WordTexts.rules(hook, family, target: target).filter { !["established", "invalid"].contains($0.word) }
        .map { (verb, $0.word, $0.rules) }
    }.sorted { $0.rules.count > $1.rules.count }
  }

  private static func begins(_ rules: ArraySlice<Rule>, _ texts: [String]) -> Bool {
    !texts.isEmpty && rules.count >= texts.count
      && zip(rules, texts).allSatisfy { $0.bytes.elementsEqual($1.utf8) }
  }

  /// Whether the word is no rule here.
  func isNothing(_ verb: String, _ name: String) -> Bool { texts(verb, name).isEmpty }

  /// The word's own rules, each by itself.
  func spelledOut(_ verb: String, _ name: String) -> [Said] {
    texts(verb, name).map { text in
      let rule = Rule(text: Array(text.utf8))
      return Self.said(TypedRule(rule, table: table, chain: chain, family), rule)
    }
  }

  private func texts(_ verb: String, _ name: String) -> [String] {
    words.first { $0.verb == verb && $0.name == name }?.rules ?? []
  }

  // MARK: Balancing

  /// Rules of which the first takes every n-th connection, the next every (n-1)-th of the rest, and so on.
  private static func balance(_ rules: ArraySlice<TypedRule?>) -> (Balance, TypedRule)? {
    guard let share = rules.first??.share, let count = count(share), rules.count >= count,
      let last = rules[rules.startIndex + count - 1]
    else { return nil }
    var targets: [String] = []
    for (place, rule) in rules.prefix(count).enumerated() {
      guard var rule, case .dnat(let target, _) = rule.verdict, rule.share == self.share(share, of: count - place)
      else {
        return nil
      }
      targets.append(target)
      rule.share = nil
      rule.verdict = last.verdict
      guard rule == last else { return nil }
    }
    guard case .random = share else { return (Balance(targets: targets, isRandom: false), last) }
    return (Balance(targets: targets, isRandom: true), last)
  }

  private static func count(_ share: TypedRule.Share) -> Int? {
    switch share {
    case .nth(let every): every
    case .random(let probability):
      (2...64).first { TranslationCompiler.probability(1, of: $0) == probability }
    }
  }

  private static func share(_ kind: TypedRule.Share, of left: Int) -> TypedRule.Share? {
    guard left > 1 else { return nil }
    return switch kind {
    case .nth: .nth(every: left)
    case .random: .random(probability: TranslationCompiler.probability(1, of: left))
    }
  }
}
