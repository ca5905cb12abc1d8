internal import Core
internal import Ruleset
internal import Wire

/// What a host holds, and in what it differs besides its rules.
struct Shown {
  /// What the save programs print.
  let saved: PerFamily<Ruleset>
  let side: BundleSides.Side?
  let others: OtherFilters
  let kernel: KernelReading
  let difference: HostDifference

  var beside: BesideRules { side?.beside ?? BesideRules() }

  func tables(_ family: Family, expected: Bool) -> [RuleTable] {
    difference.tables(family, expected: expected, of: beside)
  }

  /// In exclusive mode, and before the first commit, everything the save program prints is observed: a table that the
  /// bundle does not declare and that is not empty is drift.
  func observed(_ family: Family) -> Ruleset {
    own(family).adding(tables(family, expected: false))
  }

  /// But for what only tells of the agent itself, which is nobody's doing.
  func observedWithoutNotes(_ family: Family) -> Ruleset {
    own(family).adding(difference.withoutNotes.tables(family, expected: false, of: beside))
  }

  private func own(_ family: Family) -> Ruleset { side?.rules.observed(saved[family], family) ?? saved[family] }
}

extension HostAgent {
  /// - Parameter families: others are left empty.
  func shown(_ committed: CommittedBundle?, _ families: [Family], _ programs: FirewallPrograms) throws -> Shown {
    let (saved, unread) = try shownRulesets(committed, families)
    let side = committed.flatMap { shownSide($0) }
    let kernel = readKernel(for: side?.rules)
    let others = otherFilters(beside: saved, side?.rules, programs, kernel: kernel)
    var difference = difference(of: committed, side, saved, programs, kernel: kernel.state, found: others)
    difference.kernel += unread
    difference.lock = lockDifferences(families)
    if committed != nil, side?.rules.isNothing != true {
      difference.kernel += others.unread.map { KernelDifference(family: .ipv4, place: "unreadable", words: $0) }
    }
    return Shown(saved: saved, side: side, others: others, kernel: kernel, difference: difference)
  }

  /// It will be the same the next time: nobody can print them, or nobody can read what was printed.
  static func isUnreadable(_ error: any Error) -> Bool {
    error is Diagnostics || (error as? FirewallProblem)?.kind == .refused
  }

  /// What the save programs print. Of rules that they cannot print, or that nobody can read, the release's own stand in,
  /// and that is a difference: one such rule must not keep a host from saying anything.
  private func shownRulesets(
    _ committed: CommittedBundle?, _ families: [Family]
  ) throws -> (saved: PerFamily<Ruleset>, unread: [KernelDifference]) {
    var saved = PerFamily(ipv4: Ruleset(), ipv6: Ruleset())
    var unread: [KernelDifference] = []
    for family in families {
      do { saved[family] = try savedRuleset(family) } catch {
        guard Self.isUnreadable(error), let committed, let text = expectedTexts(of: committed)?[family] else {
          throw error
        }
        saved[family] = try parse(saved: text, family)
        let why = cut(SafeText.escape(ErrorChain(error).message))
        unread.append(
          KernelDifference(family: family, place: "unreadable", words: "the rules cannot be read: \(why)"))
      }
    }
    return (saved, unread)
  }
}
