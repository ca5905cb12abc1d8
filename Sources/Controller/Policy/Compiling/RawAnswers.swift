internal import Core
internal import Inventory
internal import Lint
internal import Ruleset

/// What raw rules let in beside `strict`, which judges answers before it comes to them: their answers must go on as
/// those of typed items do, and where nobody can tell which those are, `strict` is refused.
struct RawAnswers {
  private(set) var early = EarlyRules()
  private(set) var problems = Problems()
  /// What drops answers when a window is closed.
  private let cuts: PerFamily<[(rule: RuleView, place: SourceLocation)]>

  /// More are not compared one by one.
  private static let comparedCuts = 256

  init(beside all: [EarlyRules]) {
    let lines = all.flatMap(\.outside)
    cuts = PerFamily { family in
      lines.filter { $0.family == family }.map { (RuleView(Rule(text: Array($0.text.utf8))), $0.source) }
    }
  }

  /// Nothing is cut, so nothing needs to be looked at.
  var isIdle: Bool { cuts.ipv4.isEmpty && cuts.ipv6.isEmpty }

  mutating func add(_ text: [UInt8], _ family: Family, _ chains: Chains, from place: SourceLocation) {
    let rule = Rule(text: text)
    let view = RuleView(rule)
    guard let cut = cut(of: view, family) else { return }
    switch Self.effect(of: view, chains.names) {
    case .nothing: break
    case .chain(let name) where !chains.opening.contains(name): break
    case .accept:
      if let answers = Self.answers(rule, view) {
        early.lasting.append(EarlyRules.Line(family: family, text: answers, transport: "", source: place))
      } else {
        refuse(cut, beside: place)
      }
    case .chain, .unknown: refuse(cut, beside: place)
    }
  }

  private mutating func refuse(_ cut: SourceLocation, beside place: SourceLocation) {
    problems.add(
      cut, "strict would cut what the raw rule at \(place) lets in: which packets those are cannot be told from it",
      hint: "write that rule as an item, or as a raw rule of addresses, interfaces, ports and states that accepts")
  }

  /// Chains of raw text that are not built in.
  struct Chains {
    fileprivate(set) var names: Set<String> = []
    /// Those that may accept what is cut, by themselves or by others that they call.
    fileprivate(set) var opening: Set<String> = []
  }

  /// - Parameter texts: of a line, for each controller that it stands for.
  func chains(of raw: RawRules?, _ family: Family, _ texts: (RawRules.Line) -> [[UInt8]]) -> Chains {
    var chains = Chains()
    guard let table = raw?.tables.first(where: { $0.name == "filter" }) else { return chains }
    chains.names = Set(table.chains.filter { !$0.isBuiltIn }.map(\.name))
    var callers: [String: [String]] = [:]
    for line in table.lines where chains.names.contains(line.chain) {
      for view in texts(line).map({ RuleView(Rule(text: $0)) }) where cut(of: view, family) != nil {
        switch Self.effect(of: view, chains.names) {
        case .nothing: break
        case .chain(let name): callers[name, default: []].append(line.chain)
        case .accept, .unknown: chains.opening.insert(line.chain)
        }
      }
    }
    var open = Array(chains.opening)
    while let name = open.popLast() {
      open += (callers[name] ?? []).filter { chains.opening.insert($0).inserted }
    }
    return chains
  }

  /// Where the first one stands that may drop answers to what the rule takes.
  private func cut(of rule: RuleView, _ family: Family) -> SourceLocation? {
    let cuts = cuts[family]
    guard cuts.count <= Self.comparedCuts else { return cuts.first?.place }
    return cuts.first { !$0.rule.isDisjoint(from: rule) }?.place
  }

  private enum Effect {
    case nothing, accept, unknown
    case chain(String)
  }

  private static func effect(of rule: RuleView, _ chains: Set<String>) -> Effect {
    guard rule.isClear else { return .unknown }
    switch rule.target {
    case .none: return .nothing
    case .jump(let name) where chains.contains(name), .goTo(let name): return .chain(name)
    case .jump(let name):
      switch TargetKind(name) {
      // What comes back from a built-in chain is the default's to decide.
      case .drop, .comeBack, .goOn, .change: return .nothing
      case .accept: return opens(rule) ? .accept : .nothing
      case .translate, .other: return .unknown
      }
    }
  }

  /// One that opens nothing has no answers of its own.
  private static func opens(_ rule: RuleView) -> Bool {
    guard let states = rule.states else { return true }
    return states.contains(.new) || states.dependsOnTranslation
  }

  // MARK: The answers of one rule

  /// Matches that say the same of every packet that a connection sends one way.
  private static let lasting: Set<String> = [
    OpaqueMatch.core, "addrtype", "connmark", "devgroup", "geoip", "iprange", "mac", "mark", "owner", "physdev",
    "policy", "set",
  ]
  /// About the first packet alone, or about nothing.
  private static let dropped: Set<String> = ["--ctstate", "--state", "--syn", "--tcp-flags", "--comment"]
  private static let droppedModules: Set<String> = ["conntrack", "state", "comment"]

  /// The same rule for what follows the first packet; nil where that cannot be told.
  private static func answers(_ rule: Rule, _ view: RuleView) -> String? {
    let isFirst = view.tcpFlags.map { $0 == Negatable(.syn) } ?? true
    guard isFirst, view.opaque.allSatisfy({ lasting.contains($0.module) }), let words = try? rule.words() else {
      return nil
    }
    // What NAT did stays so.
    if let states = view.states, states.dependsOnTranslation {
      guard states.isDisjoint(with: .everyPacket) else { return nil }
      return text(of: words, rule, without: dropped.subtracting(["--ctstate"]), modules: ["comment"])
    }
    return text(of: words, rule, without: dropped, modules: droppedModules)
  }

  private static func text(
    of words: [RuleWord], _ rule: Rule, without options: Set<String>, modules: Set<String>
  ) -> String {
    func isOption(_ word: RuleWord) -> Bool { !word.isQuoted && word.value.first == UInt8(ascii: "-") }
    var kept: [String] = []
    var option: [RuleWord] = []
    func close() {
      let name = option.first { !$0.says("!") }?.text ?? ""
      let isModule = ["-m", "--match"].contains(name) && modules.contains(option.last?.text ?? "")
      if !isModule, !options.contains(name), !["-j", "--jump"].contains(name) {
        kept += option.map { String(decoding: rule.text[$0.range], as: UTF8.self) }
      }
      option = []
    }
    for (index, word) in words.enumerated() {
      let isNegation = !word.isQuoted && word.says("!")
      if isNegation || (isOption(word) && !(index > 0 && words[index - 1].says("!") && !words[index - 1].isQuoted)) {
        close()
      }
      option.append(word)
    }
    close()
    return (kept + [EarlyRules.answers, "-j ACCEPT"]).joined(separator: " ")
  }
}
