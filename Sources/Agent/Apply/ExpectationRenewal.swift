internal import Core
internal import Wire

// An upgrade of the host's iptables may word the same rules in another way. That is no drift.

extension HostAgent {
  private static let renewalFile = "expectation-renewed"

  /// When the programs of the committed expectation are not those of now, the committed bundle is rehearsed again by the
  /// new ones. When that fails the old expectation stays: the difference is then shown, not hidden.
  func renewExpectation(_ programs: FirewallPrograms) throws {
    guard journal != nil, let committed = try ledger().committed,
      committed.expectation.programs != programs.description,
      let rehearsed = try? rehearseAgain(committed)
    else { return }
    try store.keep(expected: rehearsed.texts, of: committed.name)
    let note = [committed.expectation.programs, programs.description, "\(clock.now().secondsSinceEpoch)"]
    // Before the journal, which keeps it from being done again. Not being able to tell of it is no reason not to do it.
    try? state.replace(Self.renewalFile, in: ".", with: note.flatMap { Array("\($0)\n".utf8) })
    try append(.expectation(rehearsed.expectation))
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
