internal import Core
internal import Ruleset

// Exclusive rules take whole tables: what they replace, and what to give those tables back as. Tables they do not declare
// are other people's before, meanwhile and afterwards.

extension KnownRules {
  /// The part of `saved` that loading these exclusive rules over `old` replaces.
  func replaced(of saved: PerFamily<Ruleset>, over old: KnownRules?) -> PerFamily<Ruleset> {
    saved.map { family, ruleset in
      var tables = exclusiveTables?[family] ?? []
      tables.formUnion(old?.exclusiveTables?[family] ?? [])
      for table in ruleset.tables where table.chains.contains(where: { OwnedNames.isOurs($0.name) }) {
        tables.insert(table.name)
      }
      return ruleset.restricted(to: tables)
    }
  }

  /// What was replaced, to go back to.
  static func copy(replaced: PerFamily<Ruleset>, over old: KnownRules?) -> KnownRules {
    var copy = copy(replaced, of: old)
    copy.ownTables = old?.exclusiveTables ?? copy.ownTables
    copy.sources = old?.sources ?? []
    copy.taken = old?.taken ?? .none
    return copy
  }

  /// Whether these exclusive rules take tables, with something in them, that `old` left to others.
  func takesMore(of saved: PerFamily<Ruleset>, than old: KnownRules) -> Bool {
    Family.allCases.contains { family in
      let fresh = (exclusiveTables?[family] ?? []).subtracting(old.exclusiveTables?[family] ?? [])
      return !saved[family].restricted(to: fresh).canonical().isEmpty
    }
  }

  /// What to load when these exclusive rules are given up: each table as it was when it became ours.
  ///
  /// - Parameter policies: of the built-in chains, before our first bundle.
  func found(
    in saved: PerFamily<Ruleset>, over old: KnownRules?, policies: PerFamily<Policies>
  ) -> PerFamily<Ruleset> {
    saved.map { family, ruleset in
      let tables = exclusiveTables?[family] ?? []
      if let before = old?.exclusiveTables?[family] {
        // Tables that were ours at some time and are no more are still remembered.
        let known = old?.found?[family] ?? Ruleset()
        let fresh = tables.subtracting(before).subtracting(known.tableNames)
        return Ruleset(tables: known.tables + ruleset.restricted(to: fresh).tables)
      }
      var ours: Policies = [:]
      if case .owned(let side) = old?.rules { ours = side.rules[family].policies }
      let left = ruleset.restricted(to: tables)
        .withoutOurs(givingBack: old?.taken[family] ?? [], policies: policies[family], ours: ours)
      return old?.found.map { left.merged(with: $0[family]) } ?? left
    }
  }

  /// What is to be in the tables of `found` once these rules are gone: what was found, where the table is wholly ours; where
  /// it was so once and is no more, the same behind what others have there by now.
  ///
  /// - Parameters:
  ///   - saved: what is there now.
  ///   - whole: tables that are wholly ours.
  func givingBack(
    _ found: PerFamily<Ruleset>, to saved: PerFamily<Ruleset>, whole: PerFamily<Set<String>>
  ) -> PerFamily<Ruleset> {
    found.map { family, found in
      let others = Set(found.tableNames).subtracting(whole[family])
      let policies = found.policies
      let left = saved[family].restricted(to: others)
        .withoutOurs(givingBack: taken[family], policies: policies, ours: policies)
      return left.merged(with: found)
    }
  }
}

extension PerFamily where Value == Ruleset {
  /// More than policies, which generation 0 holds too.
  var holdsRules: Bool { Family.allCases.contains { self[$0] != self[$0].withoutRules } }
}
