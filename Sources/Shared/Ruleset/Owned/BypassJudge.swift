/// Which foreign rules of one hooked chain let packets past our rules that these may drop.
///
/// What our own rules say is looked up when the first foreign rule raises the question: on most hosts none does.
struct BypassJudge {
  private let hook: OwnedRules.Hook
  private let rules: OwnedRules
  private let policy: String?
  private let allowed: Set<[UInt8]>
  private let allowsAll: Bool
  private lazy var ours = OwnVerdicts(hook, in: rules)

  /// - Parameter rules: what is wanted, not what a host holds: an accept that somebody put into our chain allows nothing.
  init(_ hook: OwnedRules.Hook, in rules: OwnedRules, allowed: [String]) {
    self.hook = hook
    self.rules = rules
    policy = rules.policies[hook.table]?[hook.chain]
    self.allowed = Set(allowed.map { Array($0.utf8) })
    allowsAll = allowed.contains("*")
  }

  mutating func forbids(_ rule: Rule, _ verdicts: inout ForeignVerdicts) -> Bool {
    guard !allowsAll, verdicts.mayBypass(rule, policy: policy), allowed.isEmpty || !allowed.contains(rule.text) else {
      return false
    }
    return ours.mayDrop && (ours.accepts.isEmpty || !ours.accepts.contains(RuleMeaning(rule)))
  }
}

/// What our rules behind one hook say.
private struct OwnVerdicts {
  let mayDrop: Bool
  /// Accepts that stand before anything that may drop.
  let accepts: Set<RuleMeaning>

  init(_ hook: OwnedRules.Hook, in rules: OwnedRules) {
    let table = rules.tables.first { $0.name == hook.table } ?? RuleTable(name: hook.table)
    var verdicts = ForeignVerdicts(table)
    // The nat table only sees a flow's first packet, and never drops.
    mayDrop = table.name != "nat" && verdicts.mayDrop(chain: hook.target)
    var accepts: Set<RuleMeaning> = []
    if mayDrop {
      let inner = hook.isForeign ? nil : table[chain: OwnedNames.inner(hook.chain)]
      for rule in (inner ?? table[chain: hook.target])?.rules ?? [] {
        if RuleShape(rule).target == .jump("ACCEPT") { accepts.insert(RuleMeaning(rule)) }
        if verdicts.mayDrop(rule) { break }
      }
    }
    self.accepts = accepts
  }
}

/// A rule without its chain, in one wording for the few that people and save programs word differently: the order of
/// options and of connection states, `-m tcp` after `-p tcp`, the mask of a single address, names of protocols.
struct RuleMeaning: Hashable {
  private let options: [[ArraySlice<UInt8>]]

  init(_ rule: Rule) {
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
    let matches = options.filter { $0.first == Self.match }
    // Of a match that is there twice, each has options of its own.
    if Set(matches).count == matches.count {
      options.removeAll { $0.count == 2 && $0[0] == Self.match && Self.implied.contains($0[1]) }
      options.sort { $0.joined(separator: [0]).lexicographicallyPrecedes($1.joined(separator: [0])) }
    }
    self.options = options
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
    case "-p": return protocols[String(decoding: word.value, as: UTF8.self)] ?? word.value
    default: return word.value
    }
  }

  /// Which programs print by name, and which by number, depends on their version.
  private static let protocols = [
    "igmp": 2, "ipencap": 4, "ipv6": 41, "gre": 47, "eigrp": 88, "ospf": 89, "pim": 103, "ipcomp": 108, "vrrp": 112,
    "l2tp": 115,
  ].mapValues { Array("\($0)".utf8)[...] }
}
