internal import Core
internal import Release
internal import Ruleset
internal import Wire

// What a scratch stack says of a side before the host's own is touched.

/// What came of a rehearsal.
struct RehearsedSide {
  var expectation: Expectation
  /// What is ours of what the programs printed, canonical.
  var texts: PerFamily<[UInt8]>
  var knock: KnockResult?
  /// Of the lockdown layers that were asked for.
  var layers: [LayerRehearsed] = []
  /// Why the knock says less than it might.
  var withoutLive: String?
}

/// Why there was none.
enum RehearsalProblem: Error {
  /// The rules are at fault, or a program.
  case refused(Refusal)
  /// The host has no place for one.
  case noNamespace(String)

  var refusal: Refusal {
    switch self {
    case .refused(let refusal): refusal
    case .noNamespace(let why): Refusal(code: .internalError, detail: cut("rehearse: \(why)"))
    }
  }
}

extension HostAgent {
  /// What this host's programs print after loading a side into a stack of their own, judged: a program that loads half
  /// of it, or nothing, says it succeeded all the same.
  ///
  /// - Parameter live: what the host holds, which our own chains are to stand beside. Where that cannot be loaded, or
  ///   is nil, only those chains of other people stand in for it that ours are called from.
  func rehearse(
    _ target: LoadTarget, live: PerFamily<Ruleset>?, knock: [KnockPath], layers: [LayerRehearsal] = []
  ) throws(RehearsalProblem) -> RehearsedSide {
    switch target.rules {
    case .exclusive: return try rehearse(target, from: nil, knock: knock, layers)
    case .owned, .nothing:
      let saved: PerFamily<Ruleset>
      do { saved = try live ?? savedRulesets() } catch { throw .refused(Refusal("read the host's rules", error)) }
      var why: String?
      if live != nil {
        do throws(RehearsalProblem) {
          let rehearsed = try rehearse(target, from: saved, knock: knock, layers)
          guard let reason = rehearsed.withoutLive else { return rehearsed }
          why = reason
        } catch {
          guard case .refused(let refusal) = error, refusal.code == .rulesDoNotLoad else { throw error }
          why = refusal.detail
        }
      }
      var rehearsed: RehearsedSide
      do throws(RehearsalProblem) {
        rehearsed = try rehearse(target, from: Self.skeleton(of: saved, for: target), knock: [], layers)
      } catch {
        // A host that had a place for the first one has none now: no reason to go on without.
        throw why == nil ? error : .refused(error.refusal)
      }
      rehearsed.withoutLive = why
      if why != nil, !knock.isEmpty { rehearsed.knock = .undecided("the host's own rules could not be loaded beside") }
      return rehearsed
    }
  }

  /// Only the chains of other people that ours are called from.
  private static func skeleton(of saved: PerFamily<Ruleset>, for target: LoadTarget) -> PerFamily<Ruleset> {
    guard case .owned(let side) = target.rules else { return PerFamily { _ in Ruleset() } }
    return PerFamily { family in
      var skeleton = Ruleset()
      for hook in side.rules[family].hooks
      where hook.isForeign && saved[family][table: hook.table]?[chain: hook.chain] != nil {
        let table = RuleTable(name: hook.table, chains: [RuleChain(name: hook.chain, policy: nil)])
        skeleton = skeleton.merged(with: Ruleset(tables: [table]))
      }
      return skeleton.declaringAllBuiltInChains()
    }
  }

  private func rehearse(
    _ target: LoadTarget, from saved: PerFamily<Ruleset>?, knock: [KnockPath], _ layers: [LayerRehearsal]
  ) throws(RehearsalProblem) -> RehearsedSide {
    let changes = PerFamily { family in target.change(family, from: saved?[family] ?? Ruleset()) }
    let texts = changes.map { _, change in change.texts.last ?? RestoreText([]) }
    let programs: FirewallPrograms
    let rehearsed: Rehearsed
    do throws(FirewallProblem) {
      programs = try firewall.programs()
      let live = saved.map { $0.map { _, ruleset in ruleset.canonical() } }
      rehearsed = try firewall.rehearse(
        Rehearsal(live: live, texts: texts, sets: target.sets.encode(), knock: knock, layers: layers))
    } catch {
      guard error.kind != .noNamespace else { throw .noNamespace(error.words) }
      let line = culprit(error, target, changes.map { _, change in change.owned })
      throw .refused(Refusal(rehearsing: error, line: line))
    }
    let printed = try rehearsed.saved.map { (family, text) throws(RehearsalProblem) in
      let loaded: Ruleset
      do { loaded = try parse(saved: text, family) } catch {
        throw .refused(Refusal("read rehearsed \(family) rules", error))
      }
      if rehearsed.withoutLive == nil, let difference = target.rehearsalDifference(loaded, family) {
        let words = "\(family) rules did not load as they are written: \(difference)"
        throw .refused(Refusal(code: .rehearsalDiffers, detail: cut(words)))
      }
      return (target.rules.isExclusive ? loaded : target.governed(loaded, family)).canonical()
    }
    return RehearsedSide(
      expectation: Expectation(
        digests: printed.map { _, text in Digest(of: text) }, programs: programs.description),
      texts: printed, knock: rehearsed.knock, layers: rehearsed.layers, withoutLive: rehearsed.withoutLive)
  }

  /// The bundle's line that does not load. Programs name a line of their input, but for what only the kernel refuses
  /// they often name COMMIT: then the shortest beginning that does not load ends with the culprit.
  private func culprit(
    _ problem: FirewallProblem, _ target: LoadTarget, _ changes: PerFamily<OwnedChange?>
  ) -> Int? {
    guard problem.kind == .refused, let family = problem.family else { return nil }
    let input: RestoreInput
    switch target.rules {
    case .exclusive:
      guard let own = target.inputs?[family] else { return nil }
      input = own
      if let line = problem.line.flatMap(input.sourceLine(of:)) { return line }
    case .owned(let side):
      input = RestoreInput(side.policy[family])
      if let line = problem.line, let source = changes[family]?.sourceLine(of: line) { return source }
    case .nothing: return nil
    }
    func loads(_ count: Int) -> Bool {
      var part = PerFamily(ipv4: RestoreText([]), ipv6: RestoreText([]))
      part[family] = RestoreText(input.keeping(firstRules: count).bytes)
      return (try? firewall.rehearse(Rehearsal(texts: part, sets: target.sets.encode()))) != nil
    }
    var good = 0
    var bad = input.ruleset.ruleCount
    // Seventeen rehearsals at the most; more would keep the operator waiting longer than they help.
    guard bad > 0, bad <= 100_000, loads(0), !loads(bad) else { return nil }
    while bad - good > 1 {
      let middle = (good + bad) / 2
      if loads(middle) { good = middle } else { bad = middle }
    }
    return input.sourceLine(ofRule: bad)
  }
}
