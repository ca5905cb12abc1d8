/// A rule without its chain, in one wording for the few that people and save programs word differently: the order of
/// options and of connection states, `-m tcp` after `-p tcp`, the mask of a single address, and all that one version of the
/// programs words otherwise than another.
package struct RuleMeaning: Hashable {
  private let options: [[ArraySlice<UInt8>]]

  package init(_ rule: Rule) {
    let rule = rule.inPlainWords
    guard let words = try? rule.words() else {
      options = [[rule.afterChain]]
      return
    }
    var options: [[ArraySlice<UInt8>]] = []
    var isNegated = false
    for word in words.dropFirst(2) {
      if !word.isQuoted, word.says("!") || word.value.first == dash {
        if isNegated { options[options.count - 1].append(word.value) } else { options.append([word.value]) }
        isNegated = word.says("!")
      } else {
        if options.isEmpty { options.append([]) }
        options[options.count - 1].append(Self.plain(word, of: options[options.count - 1]))
      }
    }
    // Of a match that is there twice, each has options of its own, and so have two matches whose options are called the
    // same: there the order says which is whose.
    if Self.areDistinct(options) {
      options.removeAll { $0.count == 2 && $0[0] == Self.match && Self.implied.contains($0[1]) }
      options.sort { $0.joined(separator: [0]).lexicographicallyPrecedes($1.joined(separator: [0])) }
    }
    self.options = options
  }

  private static func areDistinct(_ options: [[ArraySlice<UInt8>]]) -> Bool {
    let names = options.map { option in
      option.first == match ? option : Array(option.drop { $0.elementsEqual([UInt8(ascii: "!")]) }.prefix(1))
    }
    return Set(names).count == names.count
  }

  private static let match = Array("-m".utf8)[...]
  private static let implied = Set(["tcp", "udp"].map { Array($0.utf8)[...] })

  private static func plain(_ word: RuleWord, of option: [ArraySlice<UInt8>]) -> ArraySlice<UInt8> {
    switch String(decoding: option.last ?? [], as: UTF8.self) {
    case "--ctstate":
      return Array(
        word.value.split(separator: UInt8(ascii: ",")).sorted { $0.lexicographicallyPrecedes($1) }
          .joined(separator: [UInt8(ascii: ",")]))[...]
    case "-s", "-d":
      let isIPv6 = word.value.contains(UInt8(ascii: ":"))
      let mask = Array((isIPv6 ? "/128" : "/32").utf8)
      return word.value.suffix(mask.count).elementsEqual(mask) ? word.value.dropLast(mask.count) : word.value
    // Also where people write it behind a match.
    case "-p": return ProtocolNumber.named(word.value) ?? word.value
    default: return word.value
    }
  }
}

/// A rule by its chain and its meaning: the same one, whichever version of the programs printed it.
package struct PlacedMeaning: Hashable {
  private let chain: ArraySlice<UInt8>
  private let meaning: RuleMeaning

  package init(_ rule: Rule) {
    chain = rule.bytes.prefix(rule.bytes.count - rule.afterChain.count)
    meaning = RuleMeaning(rule)
  }
}
