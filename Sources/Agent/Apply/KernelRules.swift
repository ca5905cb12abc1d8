internal import Core
internal import Ruleset

/// A place where the kernel's rules are not what the save programs print of them.
struct KernelDifference: Hashable {
  let family: Family
  /// "filter/PCL-INPUT", or a table alone.
  let place: String
  let words: String

  static let notNoted = KernelDifference(
    family: .ipv4, place: "not-noted",
    words: "how the kernel holds the rules is not known from when they were loaded: an apply loads them again")
}

/// Finds what iptables-save leaves out or misprints of the rules that a release answers for. On nft hosts only: the legacy
/// programs print all that their kernel modules know.
struct KernelJudge {
  let rules: SideRules
  /// Of these very rules, loaded by the programs that the host still has; nil when nobody noted them.
  let note: KernelNote?
  /// Whether what is printed of a chain is what was to be: otherwise that shows the difference already.
  let isPrintedAsExpected: (Family, _ table: String, _ chain: String) -> Bool

  func differences(_ state: NftablesState) -> [KernelDifference] {
    state.tables.flatMap { table -> [KernelDifference] in
      guard let family = table.iptablesFamily else { return [] }
      switch rules {
      case .exclusive(let rulesets): return whole(table, family, rulesets[family])
      case .owned(let side): return beside(table, family, side.rules[family])
      case .nothing: return []
      }
    }
  }

  private func whole(_ table: NftablesTable, _ family: Family, _ declared: Ruleset) -> [KernelDifference] {
    let isDeclared = declared[table: table.name] != nil
    var found = table.isDormant && isDeclared ? [dormant(table, family)] : []
    for chain in table.chains {
      found += own(chain, table, family)
      if isDeclared, let words = KernelHooks.displacement(of: chain, in: table.name) {
        found.append(difference(family, table, chain, words))
      }
    }
    return found
  }

  private func beside(_ table: NftablesTable, _ family: Family, _ wanted: OwnedRules) -> [KernelDifference] {
    let hooks = wanted.hooks.filter { $0.table == table.name }
    let chains = table.chains.filter { OwnedNames.isOurs($0.name) }
    var found = table.isDormant && !chains.isEmpty ? [dormant(table, family)] : []
    found += chains.flatMap { own($0, table, family) }
    guard !hooks.isEmpty else { return found }
    for chain in table.chains where !OwnedNames.isOurs(chain.name) {
      let hook = hooks.first { $0.chain == chain.name }
      let words = chain.notable.filter(\.isNative).compactMap { others($0, in: chain, hook) }
      found += words.map { difference(family, table, chain, $0) }
      if hook != nil || wanted.policies[table.name]?[chain.name] != nil,
        let words = KernelHooks.displacement(of: chain, in: table.name)
      {
        found.append(difference(family, table, chain, words))
      }
    }
    return found
  }

  /// A native rule in a chain of somebody else: what it denies is his business, as with any rule of his.
  private func others(_ rule: NotableRule, in chain: NftablesChain, _ hook: OwnedRules.Hook?) -> String? {
    if let target = rule.calls {
      return
        "rule \(rule.position + 1) calls \(SafeText.escape(target)) under a condition that iptables-save does not print"
    }
    let ourPlace = chain.notable.first { $0.calls == hook?.target && $0.isUnconditional && !$0.isNative }?.position
    // No place of ours: then no hook holds, or nobody knows from where this chain is called.
    let isAbove = ourPlace.map { rule.position < $0 } ?? true
    guard isAbove, rule.mayPass, hook != nil || rule.looksUpVerdict else { return nil }
    return "rule \(rule.position + 1) lets packets pass in words that iptables-save does not print: \(rule.digest)"
  }

  private func own(_ chain: NftablesChain, _ table: NftablesTable, _ family: Family) -> [KernelDifference] {
    let native = chain.notable.filter(\.isNative)
    guard native.isEmpty else {
      return native.map { rule in
        difference(
          family, table, chain, "rule \(rule.position + 1) has words that iptables-save does not print: \(rule.digest)")
      }
    }
    guard let noted = note?.digest(of: chain, in: table), noted != chain.digest,
      isPrintedAsExpected(family, table.name, chain.name)
    else { return [] }
    return [
      difference(
        family, table, chain,
        "the rules are not those that were loaded, though iptables-save prints the same: \(chain.digest)")
    ]
  }

  private func dormant(_ table: NftablesTable, _ family: Family) -> KernelDifference {
    KernelDifference(
      family: family, place: table.name, words: "the table is switched off (dormant): no packet passes through it")
  }

  private func difference(
    _ family: Family, _ table: NftablesTable, _ chain: NftablesChain, _ words: String
  ) -> KernelDifference {
    KernelDifference(family: family, place: "\(table.name)/\(OtherFilter.word(chain.name))", words: words)
  }
}

extension NftablesTable {
  /// Where this is one of the tables that iptables' programs keep.
  var iptablesFamily: Family? {
    guard BuiltInChains.chains(of: name) != nil else { return nil }
    return Family.allCases.first { NftablesFamily($0) == family }
  }
}

/// Where the built-in chains hang in the kernel (netfilter_ipv4.h, `NF_IP_PRI_…`).
package enum KernelHooks {
  package static func expected(table: String, chain: String) -> NftablesChain.Hook? {
    let numbers: [String: UInt32] = ["PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4]
    guard let number = numbers[chain], BuiltInChains.chains(of: table)?.contains(chain) == true else { return nil }
    let priority: Int32 =
      switch table {
      case "raw": -300
      case "mangle": -150
      case "nat": chain == "PREROUTING" || chain == "OUTPUT" ? -100 : 100
      case "security": 50
      default: 0
      }
    return NftablesChain.Hook(number: number, priority: priority, dropsByDefault: false, type: "filter")
  }

  /// In words, where a built-in chain hangs instead; nil when it is in its place.
  static func displacement(of chain: NftablesChain, in table: String) -> String? {
    guard let expected = expected(table: table, chain: chain.name) else { return nil }
    guard let hook = chain.hook else { return "the chain is not hooked: no packet passes through it" }
    guard (hook.number, hook.priority) != (expected.number, expected.priority) else { return nil }
    return
      "the chain hangs at hook \(hook.number), priority \(hook.priority), not at \(expected.number), \(expected.priority)"
  }
}
