/// One option of a rule with what belongs to it, as iptables tells them apart.
struct RulePart {
  let option: String
  let isNegated: Bool
  let values: [RuleWord]

  /// The value of an option that has one.
  var value: String? { values.count == 1 ? values[0].text : nil }
}

extension Rule {
  /// What stands after `-A CHAIN`; nil where words are not in order.
  func parts() -> [RulePart]? {
    guard let words = try? words(), words.count > 1, words[0].says("-A") else { return nil }
    var parts: [RulePart] = []
    var index = 2
    while index < words.count {
      let isNegated = words[index].isNegation
      if isNegated { index += 1 }
      guard index < words.count, words[index].isOption else { return nil }
      let option = words[index].text
      let first = index + 1
      index = words[first...].firstIndex { $0.isOption || $0.isNegation } ?? words.count
      parts.append(RulePart(option: option, isNegated: isNegated, values: Array(words[first..<index])))
    }
    return parts
  }
}

extension RuleWord {
  fileprivate var isNegation: Bool { !isQuoted && says("!") }
  /// A lone `-` is none.
  fileprivate var isOption: Bool { !isQuoted && value.count > 1 && value.first == UInt8(ascii: "-") }
}
