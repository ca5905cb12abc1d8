internal import Core
internal import Release
internal import Ruleset
package import Wire

// What the host says of itself: facts only.

extension HostAgent {
  package func report(_ nonce: Nonce, managementSource: String) throws(Refusal) -> Report {
    do {
      let programs = try firewall.programs()
      try renewExpectation(programs)
      let ledger = try ledger()
      let (saved, unread) = try shownRulesets(ledger.committed, Family.allCases)
      let side = ledger.committed.flatMap { shownSide($0) }
      let beside = side?.beside ?? BesideRules()
      let kernel = Result { try firewall.nftables() }
      var found = otherFilters(beside: saved, side?.rules, programs, kernel: kernel)
      var difference = difference(
        of: ledger.committed, side, saved, programs, kernel: (try? kernel.get()) ?? nil, found: found)
      difference.kernel += unread
      let families = PerFamily<FamilyReport> { family in
        self.family(
          family, saved[family], side?.rules, difference.tables(family, expected: false, of: beside),
          expected: ledger.committed?.expectation.digests[family])
      }
      let owners = Set(Family.allCases.flatMap { saved[$0].owners }).sorted()
      found.tables.sort { ($0.family, $0.name) < ($1.family, $1.name) }
      return Report(
        nonce: nonce, host: host, fleet: fleet, time: clock.now(), bootID: facts.bootID,
        agentVersion: ProductVersion.current, architecture: facts.architecture, kernel: facts.kernel,
        backend: programs.backend, iptablesVersion: programs.version, committed: ledger.committed?.asReported,
        lastFailure: ledger.lastFailure, pending: ledger.open.flatMap(pending), localAct: ledger.localAct,
        families: families,
        owners: owners, otherBackendRules: found.otherBackendRules,
        conflicts: facts.conflicts, degraded: ledger.degraded, managementSource: managementSource,
        settings: reported(beside.settings), sshPorts: facts.listeningSSHPorts, leases: facts.leases,
        others: found.report, renewal: renewal(ledger.committed, programs))
    } catch {
      throw Refusal("report", error)
    }
  }

  package func text(_ request: TextRequest) throws(Refusal) -> [UInt8] {
    do {
      let committed = try ledger().committed
      let side = committed.flatMap { shownSide($0) }
      let (both, unread) = try shownRulesets(committed, [request.family])
      let saved = both[request.family]
      let tables = try tables(request, committed, side, both, unread)
      switch request.side {
      case .observed: return (side?.rules.observed(saved, request.family) ?? saved).adding(tables).canonical()
      case .expected:
        guard let committed else { return [] }
        let text =
          try expectedTexts(of: committed)?[request.family] ?? rehearseAgain(committed).texts[request.family]
        guard !tables.isEmpty else { return text }
        return try parse(saved: text, request.family).adding(tables).canonical()
      }
    } catch {
      throw Refusal("read the \(request.family) rules", error)
    }
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
        let isUnreadable = error is Diagnostics || (error as? FirewallProblem)?.kind == .refused
        guard isUnreadable, let committed, let text = expectedTexts(of: committed)?[family] else { throw error }
        saved[family] = try parse(saved: text, family)
        let why = cut(SafeText.escape(ErrorChain(error).message))
        unread.append(
          KernelDifference(family: family, place: "unreadable", words: "the rules cannot be read: \(why)"))
      }
    }
    return (saved, unread)
  }

  /// In which the host differs besides its rules, as that side of the comparison shows it.
  private func tables(
    _ request: TextRequest, _ committed: CommittedBundle?, _ side: BundleSides.Side?, _ saved: PerFamily<Ruleset>,
    _ unread: [KernelDifference]
  ) throws -> [RuleTable] {
    let programs = try firewall.programs()
    let kernel = Result { try firewall.nftables() }
    let found = otherFilters(beside: saved, side?.rules, programs, kernel: kernel)
    var difference = difference(
      of: committed, side, saved, programs, kernel: (try? kernel.get()) ?? nil, found: found)
    difference.kernel += unread
    return difference.tables(request.family, expected: request.side == .expected, of: side?.beside ?? BesideRules())
  }

  /// From the journal, so that a process beside the daemon knows it too.
  private func pending(_ open: OpenTransaction) -> PendingChange? {
    guard open.phase == .applied, let deadline = open.deadline, deadline.bootID == facts.bootID else { return nil }
    return PendingChange(
      transaction: open.id, manifest: open.release.manifest, serial: open.release.serial,
      millisecondsLeft: millisecondsLeft(deadline), isManual: open.isManual)
  }

  /// In exclusive mode, and before the first commit, everything the save program prints is observed: a table that the
  /// bundle does not declare and that is not empty is drift.
  private func family(
    _ family: Family, _ saved: Ruleset, _ rules: SideRules?, _ beside: [RuleTable], expected: Digest?
  ) -> FamilyReport {
    let observed = (rules?.observed(saved, family) ?? saved).adding(beside)
    return FamilyReport(
      expected: expected, observed: observed.digest, save: saved.digest,
      chains: observed.chainDigests().map { ChainDigest(table: $0.table, chain: $0.chain, digest: $0.digest) })
  }

  /// What the committed bundle calls ours; nil when it cannot be read, so that everything is shown.
  private func shownSide(_ committed: CommittedBundle) -> BundleSides.Side? {
    if let known = sides[committed.accepted.manifest] { return known }
    return (try? committedRules(committed)).map { BundleSides.Side(rules: $0.rules, beside: $0.beside) }
  }

  /// How the host differs from what the committed bundle wants of it beside its rules.
  func differences(of beside: BesideRules) -> BesideDifference {
    BesideDifference(
      sets: differences(of: beside.sets), settings: differences(of: beside.settings),
      foundProblem: foundSettings().problem)
  }

  private func reported(_ settings: SysctlFile) -> [SettingReport] {
    answeredFor(settings).map { setting in
      SettingReport(
        key: setting.key.description, desired: "\(setting.desired)", observed: setting.observed.map { "\($0)" })
    }
  }

  /// What the rehearsal of the committed bundle printed, if the disk still says so.
  func expectedTexts(of committed: CommittedBundle) -> PerFamily<[UInt8]>? {
    let digests = committed.expectation.digests
    guard let ipv4 = store.expected(.ipv4, of: committed.name, digest: digests.ipv4),
      let ipv6 = store.expected(.ipv6, of: committed.name, digest: digests.ipv6)
    else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }

  func rehearseAgain(_ committed: CommittedBundle) throws -> RehearsedSide {
    let target = LoadTarget(try committedRules(committed), over: Leftovers(of: [], found: foundPolicies()))
    do throws(RehearsalProblem) { return try rehearse(target, live: nil, knock: []) } catch { throw error.refusal }
  }
}
