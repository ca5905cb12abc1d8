internal import Core
internal import Ruleset

/// What the kernel holds and a policy cannot: text that is not plain ASCII, and rules about the other family's ICMP.
struct PlainRules {
  private let file: String
  private let family: Family
  private(set) var notes: [String] = []
  private var problems: [Diagnostic] = []

  init(_ family: Family, file: String) {
    self.family = family
    self.file = file
  }

  mutating func run(_ saved: Ruleset) throws(Diagnostics) -> Ruleset {
    var ruleset = saved
    for table in ruleset.tables.indices {
      for chain in ruleset.tables[table].chains.indices {
        let rules = ruleset.tables[table].chains[chain].rules
        ruleset.tables[table].chains[chain].rules = []
        for rule in rules {
          guard let kept = plain(rule) else { continue }
          ruleset.tables[table].chains[chain].rules.append(kept)
        }
      }
    }
    if let problems = Diagnostics(problems) { throw problems }
    return ruleset
  }

  /// Nil for a rule that is left out.
  private mutating func plain(_ rule: Rule) -> Rule? {
    let isPlain = rule.bytes.allSatisfy(Self.isPlain)
    let words: [RuleWord]
    do throws(RuleWordProblem) {
      words = try rule.words()
    } catch {
      if !isPlain { refuse(rule, error.offset, error.message, hint: error.hint) }
      return rule
    }
    if let name = otherICMP(words) {
      notes.append("\(file):\(rule.line): left out: `-p \(name)` matches nothing over \(family.words)")
      return nil
    }
    return isPlain ? rule : printable(rule, words)
  }

  // MARK: Text

  private static func isPlain(_ byte: UInt8) -> Bool { (0x20...0x7e).contains(byte) }

  /// Their values change nothing about which packets a rule takes.
  private static let freeTexts: Set<String> = ["--comment", "--log-prefix"]

  private mutating func printable(_ rule: Rule, _ words: [RuleWord]) -> Rule {
    var text = rule.text
    // From the last to the first, as a replacement moves what is behind it.
    for (index, word) in words.enumerated().reversed() where !text[word.range].allSatisfy(Self.isPlain) {
      guard index > 0, !words[index - 1].isQuoted, Self.freeTexts.contains(words[index - 1].text) else {
        refuse(
          rule, word.range.lowerBound, "`\(SafeText.escape(word.value.prefix(60)))` is not plain ASCII, as a policy is",
          hint: "give what the rule names another name, or delete the rule, and save again")
        return rule
      }
      let replaced = String(decoding: text[word.range], as: UTF8.self).unicodeScalars.map { scalar in
        (0x20...0x7e).contains(scalar.value) ? UInt8(scalar.value) : UInt8(ascii: "?")
      }
      text.replaceSubrange(word.range, with: replaced)
    }
    notes.append("\(file):\(rule.line): a policy is plain ASCII: other characters became `?`, as the plan will show")
    return Rule(text: text, line: rule.line)
  }

  private mutating func refuse(_ rule: Rule, _ offset: Int, _ message: String, hint: String?) {
    let place = SourceLocation(file: file, line: max(1, rule.line), column: offset + 1)
    problems.append(Diagnostic(place, message, hint: hint))
  }

  // MARK: ICMP

  /// What is negated takes every packet instead of none.
  private func otherICMP(_ words: [RuleWord]) -> String? {
    let others = family == .ipv4 ? ["ipv6-icmp", "icmpv6"] : ["icmp"]
    for index in words.indices.dropFirst().dropLast()
    where !words[index].isQuoted && (words[index].says("-p") || words[index].says("--protocol"))
      && !words[index - 1].says("!")
    {
      return others.first { words[index + 1].says($0) }
    }
    return nil
  }
}
