internal import Apply
internal import CLinux
internal import Core
internal import Glibc

extension RehearsalRequest {
  /// Does what is asked in a network namespace that the calling thread gets for itself, and keeps: the thread must not
  /// be needed for anything else afterwards.
  func perform(runner: ProgramRunner = ProgramRunner()) -> RehearsalAnswer {
    do throws(FirewallProblem) {
      return .rehearsed(try rehearse(runner))
    } catch {
      return .failed(error)
    }
  }

  private func rehearse(_ runner: ProgramRunner) throws(FirewallProblem) -> Rehearsed {
    let calls = FirewallCalls(
      runner: runner, environment: ProgramRequest.plainEnvironment + ["XTABLES_LOCKFILE=\(lockFile)"])
    let withoutLive = try loadLive(calls)
    let saved = try texts.map { (family, text) throws(FirewallProblem) in
      if !text.bytes.isEmpty { try calls.restore(text, by: programs[family]) }
      return try calls.save(by: programs[family])
    }
    let play = knock.map { KnockPlay(plan: $0, programs: programs, calls: calls) }
    let base = play.map { $0.round(saved: saved) }
    let tried = LayerPlay(programs: programs, calls: calls, knock: play).play(layers, above: saved)
    // Nothing is loaded any more once they are told.
    var results = play?.results([base].compactMap(\.self) + tried.compactMap { $0.round })[...]
    let result = results?.popFirst()
    return Rehearsed(
      saved: saved, withoutLive: withoutLive, knock: result,
      layers: tried.map { layer in
        switch layer.end {
        case .failure(let problem): .refused("\(problem)")
        case .success(let printed):
          .loaded(
            LoadedLayer(
              printed: printed, knock: layer.round.flatMap { _ in results?.popFirst() },
              answered: layer.round?.answered ?? []))
        }
      })
  }

  /// Stands in a new namespace that holds the host's rules, and says of which families it does not and why. A family
  /// that fails may have loaded some of its tables; then all begins again without it.
  private func loadLive(_ calls: FirewallCalls) throws(FirewallProblem) -> String? {
    var families = live == nil ? [] : Family.allCases
    var failures: [String] = []
    while true {
      try Self.enterFreshNamespace()
      try restoreSets(calls)
      var failed: Family?
      for family in families {
        guard let text = live?[family], !text.isEmpty else { continue }
        do throws(FirewallProblem) {
          try calls.restore(RestoreText(text), by: programs[family])
        } catch {
          failed = family
          failures.append("\(family): \(error)")
          break
        }
      }
      guard let failed else { break }
      families.removeAll { $0 == failed }
    }
    return failures.isEmpty ? nil : failures.joined(separator: "; ")
  }

  /// A rule whose set is not there is refused by its own program, in better words than ipset's.
  private func restoreSets(_ calls: FirewallCalls) throws(FirewallProblem) {
    guard !setProgram.isEmpty else { return }
    // First, because a set of sets among the others may have them as members.
    if !ownSets.isEmpty { _ = try calls.run(ProgramRequest(setProgram, ["restore"], input: ownSets), nil) }
    if !sets.isEmpty { _ = try? calls.run(ProgramRequest(setProgram, ["-exist", "restore"], input: sets), nil) }
  }

  private static func enterFreshNamespace() throws(FirewallProblem) {
    // CLONE_NEWNET (clone(2)).
    guard clinux_unshare(0x4000_0000) != 0 else { return }
    let number = errno
    // No right to (a container), a kernel without, a limit of 0: it will be so next time too. Any other limit may be
    // reached at one moment and not at another.
    let isForbidden = SmallFile.line("/proc/sys/user/max_net_namespaces") == "0"
    let isLasting = [EPERM, EINVAL, ENOSYS].contains(number) || number == ENOSPC && isForbidden
    throw FirewallProblem(
      isLasting ? .noNamespace : .unavailable, program: "unshare", family: nil,
      words: "no network namespace for the rehearsal: \(String(cString: strerror(number)))")
  }
}
