internal import Apply
internal import Core

/// Plays a plan's knock in the namespace that the thread is in, as often as other rules are loaded there.
final class KnockPlay {
  private let plan: KnockPlan
  private let programs: PerFamily<FamilyPrograms>
  private let calls: FirewallCalls
  /// Made when it is first needed, once.
  private lazy var stage = Result { try KnockAttempt(KnockStage(plan), plan) }

  init(plan: KnockPlan, programs: PerFamily<FamilyPrograms>, calls: FirewallCalls) {
    self.plan = plan
    self.programs = programs
    self.calls = calls
  }

  /// What one set of rules came to, before it is proven.
  struct Round {
    fileprivate typealias Shut = (path: Int, shut: ShutPath)
    fileprivate var shut: [Shut] = []
    fileprivate var undecided: [String]
    /// Where a stranger was answered.
    fileprivate(set) var answered: [UInt16] = []
  }

  /// For one try, in milliseconds; three before a path counts as shut.
  private static let patience = 300
  private static let tries = 3
  /// An answer that comes, comes at once; that none does is what strangers are waited for.
  private static let strangersPatience = 100
  /// More shut paths are named without their culprit: each costs a try and two saves.
  private static let maximumCulprits = 6

  /// - Parameter layer: whose strangers knock too.
  func round(saved: PerFamily<[UInt8]>, layer: Int? = nil) -> Round {
    var round = Round(undecided: plan.undecided)
    let strangers = layer.map(strangers) ?? []
    guard !plan.paths.isEmpty || !strangers.isEmpty else { return round }
    do {
      let attempt = try stage.get()
      try knock(attempt, saved, &round.shut, &round.undecided)
      let ends = try attempt.run(strangers, milliseconds: Self.strangersPatience)
      round.answered = zip(strangers, ends).filter { $1 == .open || $1 == .refused }.map(\.0.port)
    } catch {
      // What was found before cannot be relied on either.
      round.shut = []
      round.undecided.append("the knock could not be played: \(ErrorChain(error).message)")
    }
    return round
  }

  /// The stack is empty afterwards where something was shut: it has to be the last.
  func results(_ rounds: [Round]) -> [KnockResult] {
    var rounds = rounds
    prove(&rounds)
    return rounds.map { round in
      if !round.shut.isEmpty { return .shut(round.shut.map(\.shut)) }
      return round.undecided.isEmpty ? .passed : .undecided(round.undecided.prefix(4).joined(separator: "; "))
    }
  }

  private func strangers(_ layer: Int) -> [KnockTarget] {
    guard layer < plan.outsiders.count else { return [] }
    let before = plan.paths.count + plan.outsiders[..<layer].reduce(0) { $0 + $1.count }
    return plan.outsiders[layer].enumerated().flatMap { index, path in
      path.ports.map { KnockTarget(path: before + index, port: $0) }
    }
  }

  private func knock(
    _ attempt: KnockAttempt, _ saved: PerFamily<[UInt8]>, _ shut: inout [Round.Shut], _ undecided: inout [String]
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
  private func prove(_ rounds: inout [Round]) {
    let targets = Set(rounds.flatMap { $0.shut.map { KnockTarget(path: $0.path, port: $0.shut.port) } })
    guard !targets.isEmpty else { return }
    let open: Set<Int>
    do { open = try openWithoutRules(Array(targets)) } catch {
      for index in rounds.indices where !rounds[index].shut.isEmpty {
        rounds[index].shut = []
        rounds[index].undecided.append("the knock could not be played: \(ErrorChain(error).message)")
      }
      return
    }
    for index in rounds.indices {
      for entry in rounds[index].shut where !open.contains(entry.path) {
        rounds[index].undecided.append("\(entry.shut.source): no connection comes about here even without rules")
      }
      rounds[index].shut.removeAll { !open.contains($0.path) }
    }
  }

  private func openWithoutRules(_ targets: [KnockTarget]) throws -> Set<Int> {
    try KnockStage.leaveForEmptyNamespace()
    let attempt = try KnockAttempt(KnockStage(plan), plan)
    var open = Set<Int>()
    for _ in 0..<Self.tries {
      let left = targets.filter { !open.contains($0.path) }
      if left.isEmpty { break }
      for (target, end) in zip(left, try attempt.run(left, milliseconds: Self.patience)) where end == .open {
        open.insert(target.path)
      }
    }
    return open
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
