package import Core
internal import Lint
internal import Ruleset

/// What of a host's rules was left out, because other software makes them anew.
package struct LeftOut: Hashable, Sendable {
  package let owner: ForeignOwner
  /// Of both families and all tables, each once, in order.
  package var chains: [String]
  /// Those of its chains, and those that lead there.
  package var rules: Int
}

/// Takes the chains of other software out of a ruleset, with the rules that lead there, and the few that such software
/// keeps in the built-in chains.
struct ForeignRemoval {
  private(set) var leftOut: [ForeignOwner: LeftOut] = [:]
  private(set) var notes: [String] = []
  /// Somebody else forwards here.
  private(set) var forwardsForeign = false

  mutating func run(_ saved: Ruleset, _ family: Family) -> Ruleset {
    var chains: [String: [String: ForeignOwner]] = [:]
    for owner in saved.owners {
      for (table, chain) in saved.chains(of: owner) { chains[table, default: [:]][chain] = owner }
    }
    let owners = Set(saved.owners)
    if !owners.isDisjoint(with: [.docker, .cni, .kubernetes, .calico, .libvirt]), chains["filter"] != nil {
      forwardsForeign = true
    }
    return Ruleset(tables: saved.tables.map { table($0, chains[$0.name] ?? [:], owners, family) })
  }

  private mutating func table(
    _ saved: RuleTable, _ foreign: [String: ForeignOwner], _ owners: Set<ForeignOwner>, _ family: Family
  ) -> RuleTable {
    var table = RuleTable(name: saved.name)
    for chain in saved.chains {
      if let owner = foreign[chain.name] {
        count(owner, chain: chain.name, rules: chain.rules.count)
        noteOwnRules(in: chain, of: owner, family)
        continue
      }
      var kept = chain
      kept.rules = []
      for rule in chain.rules {
        if let owner = owner(of: rule, in: saved.name, foreign, owners) {
          count(owner, chain: nil, rules: 1)
        } else {
          kept.rules.append(rule)
        }
      }
      table.chains.append(kept)
    }
    return table
  }

  private mutating func count(_ owner: ForeignOwner, chain: String?, rules: Int) {
    var entry = leftOut[owner] ?? LeftOut(owner: owner, chains: [], rules: 0)
    if let chain, !entry.chains.contains(chain) { entry.chains.append(chain) }
    entry.rules += rules
    leftOut[owner] = entry
  }

  /// Docker's users put rules of their own into this chain of Docker's.
  private mutating func noteOwnRules(in chain: RuleChain, of owner: ForeignOwner, _ family: Family) {
    guard owner == .docker, chain.name == "DOCKER-USER" else { return }
    let own = chain.rules.count { !$0.bytes.elsewhereReturns }
    guard own > 0 else { return }
    notes.append(
      "DOCKER-USER holds \(own) rules over \(family.words) that Docker did not write: say them in `containers`")
  }

  private func owner(
    of rule: Rule, in table: String, _ foreign: [String: ForeignOwner], _ owners: Set<ForeignOwner>
  ) -> ForeignOwner? {
    if let target = RuleTarget.name(of: rule), let owner = foreign[target] { return owner }
    let view = RuleView(rule)
    if owners.contains(.calico), let comment = view.comment, rule.bytes.mentionsCalico || comment.hasPrefix("cali:") {
      return .calico
    }
    if owners.contains(.docker), DockerRules.holds(view, table: table) { return .docker }
    return nil
  }
}

extension ArraySlice<UInt8> {
  /// The one rule that Docker writes into its users' chain.
  fileprivate var elsewhereReturns: Bool { elementsEqual("-A DOCKER-USER -j RETURN".utf8) }

  /// Calico marks each of its rules in a comment of its own.
  fileprivate var mentionsCalico: Bool { withUnsafeBufferPointer { $0.holds("--comment \"cali:") } }
}
