internal import Apply
internal import Core

/// Plays a plan's knock in the namespace that the thread is in, where the rules are loaded already.
struct KnockPlay {
  let plan: KnockPlan
  let programs: PerFamily<FamilyPrograms>
  let calls: FirewallCalls

  /// For one try, in milliseconds; three before a path counts as shut.
  private static let patience = 300
  private static let tries = 3
  /// More shut paths are named without their culprit: each costs a try and two saves.
  private static let maximumCulprits = 6

  func play(saved: PerFamily<[UInt8]>) -> KnockResult {
    var undecided = plan.undecided
    var shut: [(path: Int, shut: ShutPath)] = []
    if !plan.paths.isEmpty {
      do {
        let stage = try KnockStage(plan)
        try knock(KnockAttempt(stage, plan), saved, &shut, &undecided)
        if !shut.isEmpty { try keepProven(&shut, &undecided) }
      } catch {
        // What was found before cannot be relied on either.
        shut = []
        undecided.append("the knock could not be played: \(ErrorChain(error).message)")
      }
    }
    if !shut.isEmpty { return .shut(shut.map(\.shut)) }
    return undecided.isEmpty ? .passed : .undecided(undecided.prefix(4).joined(separator: "; "))
  }

  private func knock(
    _ attempt: KnockAttempt, _ saved: PerFamily<[UInt8]>, _ shut: inout [(path: Int, shut: ShutPath)],
    _ undecided: inout [String]
  ) throws {
    let families = Set(plan.paths.map(\.source.family))
    let counted = families.filter { KnockVerdict.needsCounters(saved[$0]) }
    var before: [Family: CountedRules] = [:]
    for family in counted { before[family] = try count(family) }
    var ends: [Int: [KnockEnd]] = [:]
    for path in plan.paths.indices { ends[path] = [] }
    for _ in 0..<Self.tries {
      let targets = plan.paths.indices
        .filter { path in
          !(ends[path]?.contains(.open) ?? false)
            && (ends[path]?.isEmpty ?? true || ends[path]?.contains(.silent) ?? false)
        }
        .flatMap { path in plan.paths[path].ports.map { KnockTarget(path: path, port: $0) } }
      if targets.isEmpty { break }
      let results = try attempt.run(targets, milliseconds: Self.patience)
      for path in Set(targets.map(\.path)) { ends[path] = zip(targets, results).filter { $0.0.path == path }.map(\.1) }
    }
    for family in counted {
      guard let earlier = before[family] else { continue }
      let later = try count(family)
      let verdict = KnockVerdict(
        before: earlier, after: later, reachedTCP: true, ports: Set(plan.paths.flatMap(\.ports)))
      if let doubt = verdict.doubtOfOpen { undecided.append(doubt) }
    }
    var explained = 0
    for (index, path) in plan.paths.enumerated() {
      let ends = ends[index] ?? []
      if ends.contains(.open) { continue }
      if case .impossible(let why)? = ends.first(where: { if case .impossible = $0 { true } else { false } }) {
        undecided.append("\(path.asked): \(why)")
        continue
      }
      var culprit: String?
      if explained < Self.maximumCulprits {
        explained += 1
        let family = path.source.family
        let earlier = try count(family)
        let segments = Self.receivedSegments()
        let again = try attempt.run([KnockTarget(path: index, port: path.ports[0])], milliseconds: Self.patience)
        let verdict = KnockVerdict(
          before: earlier, after: try count(family), reachedTCP: Self.receivedSegments() != segments,
          ports: Set(path.ports))
        if again.contains(.open) { continue }
        if let doubt = verdict.doubt {
          undecided.append("\(path.asked): \(doubt)")
          continue
        }
        culprit = verdict.culprit
      }
      shut.append(
        (index, ShutPath(family: path.source.family, source: path.asked, port: path.ports[0], culprit: culprit)))
    }
  }

  /// A path counts as shut only if it opens where there are no rules at all: a sandbox that lets no packets through, or
  /// a stage that is wrong, must not be mistaken for a bad release.
  private func keepProven(
    _ shut: inout [(path: Int, shut: ShutPath)], _ undecided: inout [String]
  ) throws {
    try KnockStage.leaveForEmptyNamespace()
    let stage = try KnockStage(plan)
    let attempt = try KnockAttempt(stage, plan)
    let targets = shut.map { KnockTarget(path: $0.path, port: $0.shut.port) }
    var open = Set<Int>()
    for _ in 0..<Self.tries {
      let left = targets.filter { !open.contains($0.path) }
      if left.isEmpty { break }
      for (target, end) in zip(left, try attempt.run(left, milliseconds: Self.patience)) where end == .open {
        open.insert(target.path)
      }
    }
    for entry in shut where !open.contains(entry.path) {
      undecided.append("\(entry.shut.source): no connection comes about here even without rules")
    }
    shut.removeAll { !open.contains($0.path) }
  }

  private func count(_ family: Family) throws(FirewallProblem) -> CountedRules {
    let request = ProgramRequest(
      programs[family].save, ["-c"], environment: calls.environment, milliseconds: FirewallCalls.saveLimit)
    return CountedRules(try calls.run(request, family))
  }

  /// How many segments TCP got, of both families: `Tcp: … InSegs …` of /proc/net/snmp, names on one line and numbers on
  /// the next.
  private static func receivedSegments() -> String? {
    let lines = (SmallFile.read("/proc/thread-self/net/snmp") ?? []).split(separator: UInt8(ascii: "\n"))
      .map { RuleText.words($0) }.filter { $0.first == "Tcp:" }
    guard lines.count == 2, let index = lines[0].firstIndex(of: "InSegs"), index < lines[1].count else { return nil }
    return lines[1][index]
  }
}
