internal import Core
internal import Release
internal import Ruleset
internal import Wire

// What may have to be loaded, built before anything is.

extension HostAgent {
  /// The committed bundle as it is on disk, still exactly what was signed.
  func committedRules(_ committed: CommittedBundle) throws -> KnownRules {
    // Whose key signed it does not matter any more: it was checked when the bundle was accepted, and a key that ended
    // since must not take running rules down.
    guard let nobody = AllowedSigners([]) else { throw Reason("an empty list of signers was refused") }
    let verifier = BundleVerifier(allowedSigners: nobody, fleet: fleet, host: host)
    let bundle = try verifier.readmit(
      try UnverifiedBundle(files: try store.read(committed.name)), accepted: committed.accepted)
    guard let rules = bundle.rules else { throw Reason("bundle \(committed.name) holds no rules") }
    let rulesets = try rules.map { family, bytes in try Self.parse(bytes, family) }
    return KnownRules(
      rulesets: rulesets, sources: bundle.manifest.sources, expected: committed.expectation.digests)
  }

  /// What ran before the first bundle, or nil when it was never captured.
  func generation0Rules() throws -> KnownRules? {
    guard let texts = try store.readGeneration0() else { return nil }
    let rulesets = try texts.map { family, text in
      text.isEmpty ? Ruleset() : try Ruleset.parse(save: text, file: "generation-0/\(family).rules")
    }
    return KnownRules(rulesets: rulesets, sources: [], expected: rulesets.map { _, ruleset in ruleset.digest })
  }

  /// Keeps what the kernel holds now as generation 0, in canonical form: strictly re-parsed, because a raw dump can
  /// hold a comment with a line feed, which loads as a rule. Done once; false when there is one, or a commit, already.
  @discardableResult
  package func captureGeneration0() throws -> Bool {
    guard try ledger().committed == nil, try store.readGeneration0() == nil else { return false }
    try store.writeGeneration0(try PerFamily { family in try savedRuleset(family).canonical() })
    return true
  }

  /// Where the host goes back to: the committed bundle, else generation 0.
  func oldRules(_ ledger: Ledger) throws -> KnownRules? {
    if let committed = ledger.committed { return try committedRules(committed) }
    return try generation0Rules()
  }

  func targets(
    new: PerFamily<Ruleset>?, newSources: [String], emptying newTables: PerFamily<Set<String>>, old: KnownRules?
  ) -> Targets {
    let oldTables = old?.tables ?? PerFamily(ipv4: [], ipv6: [])
    let sources = Set(newSources).union(old?.sources ?? []).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return Targets(
      new: new.map { rulesets in
        LoadTarget(
          inputs: rulesets.map { family, ruleset in RestoreInput(ruleset, emptying: oldTables[family]) },
          expected: nil)
      },
      old: old.map { old in
        LoadTarget(
          inputs: old.rulesets.map { family, ruleset in RestoreInput(ruleset, emptying: newTables[family]) },
          expected: old.expected)
      },
      safe: LoadTarget(
        inputs: PerFamily { family in
          RestoreInput(
            SafePolicy.ruleset(family, sources: sources, sshPorts: facts.sshPorts),
            emptying: oldTables[family].union(newTables[family]))
        },
        expected: nil))
  }

  // MARK: - Reading and rehearsing

  func savedRuleset(_ family: Family) throws -> Ruleset {
    try parse(saved: try firewall.save(family), family)
  }

  func parse(saved bytes: [UInt8], _ family: Family) throws -> Ruleset {
    bytes.isEmpty ? Ruleset() : try Ruleset.parse(save: bytes, file: "\(family) rules of the kernel")
  }

  /// What this host's programs print after loading the inputs into a stack of their own, judged: a program that loads
  /// half of them, or nothing, says it succeeded all the same.
  func rehearse(_ inputs: PerFamily<RestoreInput>) throws(Refusal) -> (Expectation, PerFamily<[UInt8]>) {
    let programs: FirewallPrograms
    let printed: PerFamily<[UInt8]>
    do throws(FirewallProblem) {
      programs = try firewall.programs()
      printed = try firewall.rehearse(Rehearsal(texts: inputs.map { _, input in RestoreText(input.bytes) })).saved
    } catch {
      throw Refusal(rehearsing: error, line: culprit(error, inputs))
    }
    let texts = try printed.map { (family, text) throws(Refusal) in
      let loaded: Ruleset
      do { loaded = try parse(saved: text, family) } catch { throw Refusal("read rehearsed \(family) rules", error) }
      if let difference = RulesetShape.difference(intended: inputs[family].ruleset, loaded: loaded) {
        throw Refusal(
          code: .rehearsalDiffers, detail: cut("\(family) rules did not load as they are written: \(difference)"))
      }
      return loaded.canonical()
    }
    let digests = texts.map { _, text in Digest(of: text) }
    return (Expectation(digests: digests, programs: programs.description), texts)
  }

  /// The bundle's line that does not load. Programs name a line of their input, but for what only the kernel refuses
  /// they often name COMMIT: then the shortest beginning that does not load ends with the culprit.
  private func culprit(_ problem: FirewallProblem, _ inputs: PerFamily<RestoreInput>) -> Int? {
    guard problem.kind == .refused, let family = problem.family else { return nil }
    let input = inputs[family]
    if let line = problem.line.flatMap(input.sourceLine(of:)) { return line }
    func loads(_ count: Int) -> Bool {
      var part = PerFamily(ipv4: RestoreText([]), ipv6: RestoreText([]))
      part[family] = RestoreText(input.keeping(firstRules: count).bytes)
      return (try? firewall.rehearse(Rehearsal(texts: part))) != nil
    }
    var good = 0
    var bad = input.ruleset.ruleCount
    // Seventeen rehearsals at the most; more would keep the operator waiting longer than they help.
    guard bad > 0, bad <= 100_000, loads(0) else { return nil }
    while bad - good > 1 {
      let middle = (good + bad) / 2
      if loads(middle) { good = middle } else { bad = middle }
    }
    return input.sourceLine(ofRule: bad)
  }

  /// Throws with words when the kernel does not hold the target.
  func requireLoaded(_ target: LoadTarget) throws {
    for family in Family.allCases {
      if let difference = target.difference(try savedRuleset(family), family) {
        throw Reason("the rules read back differ from what was loaded: \(difference)")
      }
    }
  }

  /// Like `requireLoaded`, but the words of an upgraded program are learnt anew before they count as a difference.
  func requireLoadedAfterUpgrade(_ target: LoadTarget) throws {
    do {
      try requireLoaded(target)
    } catch {
      guard let expectation = try? rehearse(target.inputs).0, expectation.digests != target.expected else {
        throw error
      }
      try requireLoaded(LoadTarget(inputs: target.inputs, expected: expectation.digests))
    }
  }

  func load(_ target: LoadTarget, _ family: Family) throws {
    // Nothing to declare and nothing to empty; the programs would take an empty text for a success anyway.
    guard !target.inputs[family].bytes.isEmpty else { return }
    try firewall.load(RestoreText(target.inputs[family].bytes), into: family, within: .seconds(30))
  }
}
