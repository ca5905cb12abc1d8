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
      let families = try PerFamily<FamilyReport> { family in
        try self.family(family, expected: ledger.committed?.expectation.digests[family])
      }
      return Report(
        nonce: nonce, host: host, fleet: fleet, time: clock.now(), bootID: facts.bootID,
        agentVersion: ProductVersion.current, architecture: facts.architecture, kernel: facts.kernel,
        backend: programs.backend, iptablesVersion: programs.version, committed: ledger.committed?.asReported,
        lastFailure: ledger.lastFailure, families: families, otherBackendRules: try firewall.otherBackendRules(),
        conflicts: facts.conflicts, degraded: ledger.degraded != nil, managementSource: managementSource)
    } catch {
      throw Refusal("report", error)
    }
  }

  package func text(_ request: TextRequest) throws(Refusal) -> [UInt8] {
    do {
      switch request.side {
      case .observed: return try savedRuleset(request.family).canonical()
      case .expected:
        guard let committed = try ledger().committed else { return [] }
        return try expectedTexts(of: committed)?[request.family] ?? rehearseAgain(committed).1[request.family]
      }
    } catch {
      throw Refusal("read the \(request.family) rules", error)
    }
  }

  /// In exclusive mode everything the save program prints is observed: a table that the bundle does not declare and
  /// that is not empty is drift.
  private func family(_ family: Family, expected: Digest?) throws -> FamilyReport {
    let saved = try savedRuleset(family)
    let digest = saved.digest
    return FamilyReport(
      expected: expected, observed: digest, save: digest,
      chains: saved.chainDigests().map { ChainDigest(table: $0.table, chain: $0.chain, digest: $0.digest) })
  }

  /// What the rehearsal of the committed bundle printed, if the disk still says so.
  func expectedTexts(of committed: CommittedBundle) -> PerFamily<[UInt8]>? {
    let digests = committed.expectation.digests
    guard let ipv4 = store.expected(.ipv4, of: committed.name, digest: digests.ipv4),
      let ipv6 = store.expected(.ipv6, of: committed.name, digest: digests.ipv6)
    else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }

  private func rehearseAgain(_ committed: CommittedBundle) throws -> (Expectation, PerFamily<[UInt8]>) {
    try rehearse(try committedRules(committed).rulesets.map { _, ruleset in RestoreInput(ruleset) })
  }

  /// After an upgrade of the host's programs the same rules may be printed in other words. That is no drift, so the
  /// committed bundle is rehearsed again by the new ones. When that fails the old expectation stays: the difference is
  /// then shown, not hidden.
  private func renewExpectation(_ programs: FirewallPrograms) throws {
    guard journal != nil, let committed = try ledger().committed,
      committed.expectation.programs != programs.description,
      let (expectation, texts) = try? rehearseAgain(committed)
    else { return }
    try store.keep(expected: texts, of: committed.name)
    try append(.expectation(expectation))
  }
}
