internal import Core

/// Looks through one rule of a rules file for what would load differently from how it reads: names that would be looked
/// up, text that would be cut off, options hidden in quotes or abbreviations, jumps to nowhere.
///
/// Options of extensions that need no such care are let through; whether they load is found out in rehearsal.
struct RuleCheck {
  struct Problem {
    /// In the rule's text.
    let offset: Int
    let message: String
    let hint: String?
  }

  let chains: DeclaredChains
  let family: Family
  let addressWords: Set<String>
  private(set) var problems: [Problem] = []
  /// Core options that were there, a bit for each: most may occur once.
  private var seen: UInt8 = 0
  private var firstPort: RuleWord?
  /// What was found for unknown targets, in this table so far.
  private var suggestions: [String: String?] = [:]
  private var kinds: [NameKey: OptionKind] = [:]

  init(chains: DeclaredChains, family: Family, addressWords: Set<String>) {
    self.chains = chains
    self.family = family
    self.addressWords = addressWords
  }

  mutating func add(_ word: RuleWord, _ message: String, hint: String? = nil) {
    problems.append(Problem(offset: word.range.lowerBound, message: message, hint: hint))
  }

  /// - Parameter words: the rule's, beginning with `-A CHAIN`.
  mutating func run(_ words: [RuleWord]) {
    problems = []
    seen = 0
    firstPort = nil
    let chain = words[1].text
    var index = 2
    while index < words.count {
      let start = words[index]
      let isNegated = !start.isQuoted && start.says("!")
      if isNegated { index += 1 }
      guard index < words.count, Self.isOption(words[index]) else {
        misplaced(start, isNegated: isNegated)
        while index < words.count, !Self.isOption(words[index]) { index += 1 }
        continue
      }
      let option = words[index]
      index += 1
      let first = index
      while index < words.count, words[index].isQuoted || !(Self.isOption(words[index]) || words[index].says("!")) {
        index += 1
      }
      check(option, Array(words[first..<index]), isNegated: isNegated, chain: chain)
    }
    if let firstPort, seen & CoreOption.protocolName.bit == 0 {
      add(firstPort, "\(firstPort.text) needs a protocol", hint: "write `-p tcp` or `-p udp` before it")
    }
  }

  private mutating func misplaced(_ word: RuleWord, isNegated: Bool) {
    if isNegated {
      add(word, "`!` stands before an option", hint: "write `! -s 10.0.0.0/8`, not `-s ! 10.0.0.0/8`")
    } else {
      add(word, "`\(word.shown)` belongs to no option", hint: "text with spaces goes in double quotes")
    }
  }

  /// Begins with `-`, without quotes. A lone `-` is none.
  private static func isOption(_ word: RuleWord) -> Bool {
    !word.isQuoted && word.value.count > 1 && word.value.first == UInt8(ascii: "-")
  }

  private mutating func check(_ option: RuleWord, _ values: [RuleWord], isNegated: Bool, chain: String) {
    hiddenOptions(option, values)
    switch kind(of: option) {
    case .core(let core): self.core(core, option, values, isNegated: isNegated, chain: chain)
    case .refused(let hint): add(option, "`\(option.shown)` cannot stand in a rule", hint: hint)
    case .unknown: add(option, "there is no option `\(option.shown)`", hint: RefusedOption.hint(forShort: option))
    case .assignment:
      let name = SafeText.escape(option.value.prefix { $0 != UInt8(ascii: "=") })
      add(option, "an option and its value are two words", hint: "write `\(name) VALUE`")
    case .abbreviation(let whole):
      add(option, "`\(option.shown)` is an abbreviation", hint: "write `\(whole)`, as iptables-save does")
    case .value(let form, let needsProtocol):
      if needsProtocol, firstPort == nil { firstPort = option }
      value(form, option, values)
    }
  }

  private mutating func kind(of option: RuleWord) -> OptionKind {
    let key = NameKey(option.value)
    if let known = kinds[key] { return known }
    let kind = OptionKind(option.text)
    kinds[key] = kind
    return kind
  }

  /// To iptables a quoted word that begins with `-` is an option, and a quoted `!` negates, unless it is the text of an
  /// option that takes any.
  private mutating func hiddenOptions(_ option: RuleWord, _ values: [RuleWord]) {
    for (position, word) in values.enumerated() where word.isQuoted {
      guard word.value.first == dash || word.says("!") else { continue }
      guard position > 0 || !ValueForm.takesAnyText(option.text) else { continue }
      if word.value.first == dash {
        add(word, "a quoted word beginning with - would be read as an option", hint: "write options without quotes")
      } else {
        add(word, "a quoted ! would negate what follows", hint: "write `!` without quotes before an option")
      }
    }
  }

  // MARK: Core options

  private mutating func core(
    _ core: CoreOption, _ option: RuleWord, _ values: [RuleWord], isNegated: Bool, chain: String
  ) {
    let wasSeen = seen & core.bit != 0
    seen |= core.bit
    if wasSeen, core != .match {
      let what = core == .jump ? "a second target" : "a second `\(core.short)`"
      add(option, "\(what) in one rule", hint: "write two rules")
    }
    if core == .fragment {
      if family == .ipv6 { add(option, "`\(option.text)` is for IPv4 only", hint: "write `-m frag`") }
      if let extra = values.first { unexpected(extra) }
      return
    }
    guard let value = values.first else { return add(option, "`\(option.text)` needs a value") }
    if values.count > 1 { unexpected(values[1]) }
    switch core {
    case .source, .destination: address(value, isNegated: isNegated)
    case .input, .output: interface(core, value, chain: chain)
    case .protocolName: protocolName(value)
    case .jump: target(value, isGoto: option.says("-g") || option.says("--goto"))
    case .match: match(value)
    case .fragment: break
    }
    if isNegated, core == .jump || core == .match { add(option, "`!` cannot stand before `\(option.text)`") }
  }

  private mutating func unexpected(_ word: RuleWord) {
    add(
      word, "unexpected `\(word.shown)`", hint: "an option takes one value here; text with spaces goes in double quotes"
    )
  }

  private mutating func address(_ word: RuleWord, isNegated: Bool) {
    if !addressWords.isEmpty, addressWords.contains(word.text) {
      if isNegated {
        add(
          word, "`! … \(word.text)` would mean every address: it stands for several",
          hint: "accept or return \(word.text) first, in a rule of its own, then match the rest")
      }
      return
    }
    if word.value.contains(UInt8(ascii: ",")) {
      return add(
        word, "several addresses in one rule",
        hint: "write one rule for each: iptables would make several of this line; or use an ipset")
    }
    addressAndMask(word)
  }

  private mutating func interface(_ core: CoreOption, _ word: RuleWord, chain: String) {
    if word.value.count > 15 {
      add(word, "the interface's name has \(word.value.count) bytes, more than the 15 the kernel keeps")
    } else if word.value.isEmpty {
      add(word, "the interface has no name")
    }
    if core == .input, chain == "OUTPUT" || chain == "POSTROUTING" {
      add(word, "packets in \(chain) have no input interface", hint: "match the output interface: `-o`")
    } else if core == .output, chain == "INPUT" || chain == "PREROUTING" {
      add(word, "packets in \(chain) have no output interface", hint: "match the input interface: `-i`")
    }
  }

  private mutating func protocolName(_ word: RuleWord) {
    if word.says("tcp") || word.says("udp") { return }
    switch (family, word.text.lowercased()) {
    case (.ipv6, "icmp"):
      add(word, "`-p icmp` matches nothing in an IPv6 file", hint: "write `-p ipv6-icmp`")
    case (.ipv4, "ipv6-icmp"), (.ipv4, "icmpv6"):
      add(word, "`-p \(word.text)` matches nothing in an IPv4 file", hint: "write `-p icmp`")
    case (_, let name) where name.utf8.allSatisfy(isDigit):
      if AddressText.number(word.value, atMost: 255) == nil { add(word, "`\(word.shown)` is not a protocol") }
    default:
      let isName = word.value.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "+"):
          true
        default: false
        }
      }
      if !isName || word.value.isEmpty {
        add(word, "`\(word.shown)` is not a protocol", hint: "write one, such as tcp")
      }
    }
  }

  /// iptables makes a file's name of it and loads that, so it must not lead anywhere else.
  private mutating func match(_ word: RuleWord) {
    let isName =
      !word.value.isEmpty && word.value.count <= 28
      && word.value.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), dash:
          true
        default: false
        }
      }
    if !isName { add(word, "`\(word.shown)` is not a match", hint: "write one, such as tcp or conntrack") }
  }

  private mutating func target(_ word: RuleWord, isGoto: Bool) {
    let name = word.text
    if chains.isUserChain(word.value) { return }
    if BuiltInChains.allNames.contains(name) {
      return add(
        word, "rules cannot jump to the built-in chain \(name)", hint: "move the rules into a chain of their own")
    }
    if isGoto {
      let nearest = NearestName.to(name, among: chains.suggestable).map { "did you mean `\($0)`?" }
      return add(
        word, "`-g \(word.shown)`: no such chain in table \(chains.table)",
        hint: nearest ?? "verdicts and extensions take `-j`")
    }
    if KnownTargets.verdicts.contains(name) || KnownTargets.extensions.contains(name) { return }
    let nearest = nearestTarget(to: name)
    // Short names are near to everything; an unknown one is left for rehearsal to judge.
    if KnownTargets.isPlausible(word.value), nearest == nil || word.value.count < 5 { return }
    add(
      word, "`\(word.shown)` is neither a chain of table \(chains.table) nor a target",
      hint: nearest.map { "did you mean `\($0)`?" } ?? "declare it before the rules: `:\(word.shown) -`")
  }
}

extension CoreOption {
  fileprivate var bit: UInt8 { 1 << rawValue }
}

extension RuleCheck {
  /// Unknown targets that suggestions are looked for; of any more a file is not mistyped but made.
  private static let maximumSuggestions = 100

  private mutating func nearestTarget(to name: String) -> String? {
    if let known = suggestions[name] { return known }
    guard suggestions.count < Self.maximumSuggestions else { return nil }
    let known =
      chains.suggestable + KnownTargets.verdicts.sorted() + KnownTargets.extensions.sorted()
    let capitals = name.uppercased()
    let nearest = NearestName.to(name, among: known) ?? (KnownTargets.verdicts.contains(capitals) ? capitals : nil)
    suggestions[name] = .some(nearest)
    return nearest
  }
}
