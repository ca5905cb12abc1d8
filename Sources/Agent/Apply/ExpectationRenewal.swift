internal import Core
internal import Ruleset
internal import Wire

// An upgrade of the host's iptables may word the same rules in another way. That is no drift.

extension HostAgent {
  private static let renewalFile = "expectation-renewed"

  /// When the programs of the committed expectation are not those of now, the committed bundle is rehearsed again by the
  /// new ones. When that fails the old expectation stays: the difference is then shown, not hidden. A host that has no
  /// place for a rehearsal takes what the new ones print of rules that the kernel has as they were loaded.
  func renewExpectation(_ programs: FirewallPrograms) throws {
    guard journal != nil, let committed = try ledger().committed,
      committed.expectation.programs != programs.description,
      let renewed = try? renewed(committed, programs)
    else { return }
    try store.keep(expected: renewed.texts, of: committed.name)
    let note = [committed.expectation.programs, programs.description, "\(clock.now().secondsSinceEpoch)"]
    // Before the journal, which keeps it from being done again. Not being able to tell of it is no reason not to do it.
    try? state.replace(Self.renewalFile, in: ".", with: note.flatMap { Array("\($0)\n".utf8) })
    try append(.expectation(renewed.expectation))
  }

  private func renewed(_ committed: CommittedBundle, _ programs: FirewallPrograms) throws -> RehearsedSide {
    var target = try committedTarget(committed)
    do throws(RehearsalProblem) {
      return try rehearse(target, live: nil, knock: [])
    } catch {
      guard case .noNamespace = error, isAsLoaded(committed, target.rules) else { throw error.refusal }
      target.expected = nil
      let texts = try requireLoaded(target).map { family, saved in target.governed(saved, family).canonical() }
      let digests = texts.map { _, text in Digest(of: text) }
      return RehearsedSide(
        expectation: Expectation(digests: digests, programs: programs.description), texts: texts)
    }
  }

  /// By the kernel's own words, whatever programs print of them.
  private func isAsLoaded(_ committed: CommittedBundle, _ rules: SideRules) -> Bool {
    guard let note = kernelNote(of: committed),
      let kernel = (try? firewall.nftables(sets: .ofNobodyKnown)) ?? nil
    else { return false }
    return note == KernelNote(content: note.content, rules: rules, kernel)
  }

  /// The last one since the commit, in which the programs of now took over.
  func renewal(_ committed: CommittedBundle?, _ programs: FirewallPrograms) -> Renewal? {
    guard let committed, let text = (try? state.read(Self.renewalFile, atMost: 1024)) ?? nil else { return nil }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    guard lines.count == 3, let seconds = Int64(lines[2]), lines[1] == programs.description,
      seconds >= committed.at.secondsSinceEpoch
    else { return nil }
    return Renewal(from: lines[0], to: lines[1], at: UTCTime(secondsSinceEpoch: seconds))
  }
}
