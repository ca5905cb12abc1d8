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
      renewProfiles(programs)
      let ledger = try ledger()
      let shown = try shownComplete(ledger.committed, programs)
      let families = PerFamily<FamilyReport> { family in
        let observed = shown.observed(family)
        return FamilyReport(
          expected: ledger.committed?.expectation.digests[family], observed: observed.digest,
          save: shown.saved[family].digest,
          chains: observed.chainDigests().map { ChainDigest(table: $0.table, chain: $0.chain, digest: $0.digest) })
      }
      noteReported(families.map { _, facts in facts.observed })
      let owners = Set(Family.allCases.flatMap { shown.saved[$0].owners }).sorted()
      var found = shown.others
      found.tables.sort { ($0.family, $0.name) < ($1.family, $1.name) }
      var others = found.report
      let notes = [others.problem].compactMap(\.self) + (ledger.committed.map { lateNotes(since: $0) } ?? [])
      if !notes.isEmpty { others.problem = cut(notes.joined(separator: OthersProblem.separator)) }
      return Report(
        nonce: nonce, host: host, fleet: fleet, time: clock.now(), bootID: facts.bootID,
        agentVersion: ProductVersion.current, architecture: facts.architecture, kernel: facts.kernel,
        backend: programs.backend, iptablesVersion: programs.version, committed: ledger.committed?.asReported,
        lastFailure: ledger.lastFailure, pending: ledger.open.flatMap(pending), localAct: ledger.localAct,
        families: families,
        owners: owners, otherBackendRules: found.otherBackendRules,
        conflicts: facts.conflicts, degraded: ledger.degraded, managementSource: managementSource,
        settings: reported(shown.beside.settings), sshPorts: facts.listeningSSHPorts, leases: facts.leases,
        others: others, renewal: renewal(ledger.committed, programs),
        lockdown: lockdownReport(ledger, shown.difference.lock), listening: facts.listening)
    } catch {
      throw Refusal("report", error)
    }
  }

  package func text(_ request: TextRequest) throws(Refusal) -> [UInt8] {
    do {
      let committed = try ledger().committed
      let shown = try shown(committed, [request.family], try firewall.programs())
      switch request.side {
      case .observed: return shown.observed(request.family).canonical()
      case .expected:
        guard let committed else { return [] }
        let text =
          try expectedTexts(of: committed)?[request.family] ?? rehearseAgain(committed).texts[request.family]
        let tables = shown.tables(request.family, expected: true)
        guard !tables.isEmpty else { return text }
        return try parse(saved: text, request.family).adding(tables).canonical()
      }
    } catch {
      throw Refusal("read the \(request.family) rules", error)
    }
  }

  /// From the journal, so that a process beside the daemon knows it too.
  private func pending(_ open: OpenTransaction) -> PendingChange? {
    guard open.phase == .applied, let deadline = open.deadline, deadline.bootID == facts.bootID else { return nil }
    return PendingChange(
      transaction: open.id, manifest: open.release.manifest, serial: open.release.serial,
      millisecondsLeft: millisecondsLeft(deadline), isManual: open.isManual)
  }

  /// What the committed bundle calls ours; nil when it cannot be read, so that everything is shown.
  func shownSide(_ committed: CommittedBundle) -> BundleSides.Side? {
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
    let target = try committedTarget(committed)
    do throws(RehearsalProblem) { return try rehearse(target, live: nil, knock: []) } catch { throw error.refusal }
  }

  func committedTarget(_ committed: CommittedBundle) throws -> LoadTarget {
    LoadTarget(try committedRules(committed), over: Leftovers(of: [], found: foundPolicies()))
  }
}
