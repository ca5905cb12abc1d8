package import Core
internal import Ruleset
internal import Wire

/// Works out what `apply` would do. Pure: it reads no socket, no file and no clock, and everything it was told is in the
/// plan's fingerprint.
package struct RolloutPlanner: Sendable {
  package let fleet: FleetID
  package let serialBase: Serial
  /// Lines around a difference.
  private let context: Int

  package init(fleet: FleetID, serialBase: Serial, context: Int = 3) {
    self.fleet = fleet
    self.serialBase = serialBase
    self.context = context
  }

  /// - Throws: when there is no host, which is never a success, or one twice.
  package func plan(_ inputs: [PlanInput]) throws(Failure) -> RolloutPlan {
    guard !inputs.isEmpty else {
      throw Failure("plan", because: Reason("no hosts were chosen"), kind: .usage)
    }
    let sorted = inputs.sorted { $0.host < $1.host }
    for (a, b) in zip(sorted, sorted.dropFirst()) where a.host == b.host {
      throw Failure("plan", because: Reason("host \(a.host) was given twice"))
    }
    var comparison = Comparison(context: context)
    var hosts: [PlannedHost] = []
    for input in sorted { hosts.append(Self.planned(input, &comparison)) }
    return RolloutPlan(fleet: fleet, serialBase: serialBase, hosts: hosts)
  }

  private static func beforeUs(_ facts: HostFacts?, _ desired: DesiredBundle) -> String {
    guard let facts else { return "has not reported yet" }
    guard facts.hasThemAlready else { return "runs none of our rules yet" }
    return desired.mode == "exclusive"
      ? "no rule changes: it runs these rules already; applying installs them as ours"
      : "it has these rules already: ours come before them in chains of ours, its own stay behind"
  }

  private static func planned(_ input: PlanInput, _ comparison: inout Comparison) -> PlannedHost {
    func host(_ action: PlanAction, _ reason: String, _ facts: HostFacts?, _ found: Comparison.Finding) -> PlannedHost {
      PlannedHost(
        host: input.host, action: action, reason: reason, mode: input.desired?.mode, desired: input.desired?.content,
        committed: facts?.committed, difference: found.difference, differenceKey: found.key, compared: found.compared)
    }

    let facts: HostFacts?
    switch input.knowledge {
    case .notEnrolled: return host(.notEnrolled, "not enrolled", nil, .nothing)
    case .silent: facts = nil
    case .reported(let reported): facts = reported
    }
    guard let desired = input.desired else { return host(.noPolicy, "no policy applies to it", facts, .nothing) }

    guard let facts, let committed = facts.committed else {
      var found = comparison.compare(from: facts?.running, to: desired.rules)
      // What the host had before is shown where it is known; approved is what it gets.
      found.compared = comparison.compare(from: nil, to: desired.rules).compared
      return host(desired.rules == nil ? .withdraw : .install, Self.beforeUs(facts, desired), facts, found)
    }
    guard committed.content == desired.content else {
      let found = comparison.compare(from: facts.running, to: desired.rules)
      if desired.rules == nil { return host(.withdraw, "is withdrawn", facts, found) }
      var reason =
        found.isEmpty
        ? "the manifest changes (mode, labels, management sources or kernel settings), the rules do not"
        : "the rules change"
      if facts.running == nil { reason = "the rules change; what it runs now is not in the store" }
      if facts.isDegraded {
        reason += "; the safe policy goes"
      } else if facts.hasDrifted {
        reason += "; what was changed by hand goes"
      }
      return host(.change, reason, facts, found)
    }
    guard facts.hasDrifted else {
      guard let unwanted = facts.unwanted else { return host(.unchanged, "runs what it should", facts, .nothing) }
      return host(
        .change, "runs what it should, but release \(unwanted), which says something else, must be overtaken", facts,
        .nothing)
    }
    let why = facts.isDegraded ? "runs the safe policy" : "was changed by hand"
    guard let drift = facts.drift else {
      return host(.repair, "\(why); the difference was not asked for", facts, .nothing)
    }
    let found = comparison.compare(
      from: drift.map { _, texts in texts.observed }, to: drift.map { _, texts in texts.expected })
    return host(.repair, why, facts, found)
  }
}

/// Differences, each worked out once however many hosts share it.
private struct Comparison {
  struct Finding {
    var difference: PlannedHost.Difference
    var key: Digest
    var compared: [Digest]
    var isEmpty: Bool
    static let nothing = Finding(difference: .none, key: Digest(of: []), compared: [], isEmpty: true)
  }

  private struct Pair: Hashable {
    var from: Digest?
    var to: Digest?
  }
  private enum Outcome {
    case diff(RulesetDiff)
    case unreadable(String)
  }

  let context: Int
  private var known: [Pair: (outcome: Outcome, key: Digest)] = [:]

  init(context: Int) { self.context = context }

  mutating func compare(from: PerFamily<RulesText>?, to: PerFamily<RulesText>?) -> Finding {
    let ipv4 = compare(.ipv4, from?.ipv4, to?.ipv4)
    let ipv6 = compare(.ipv6, from?.ipv6, to?.ipv6)
    let key = Digest(of: ipv4.key.bytes + ipv6.key.bytes)
    // A marker for each absent text keeps the list's meaning: which of four stands where.
    let compared = [from?.ipv4, from?.ipv6, to?.ipv4, to?.ipv6].map { $0?.digest ?? Digest(of: []) }
    switch (ipv4.outcome, ipv6.outcome) {
    case (.diff(let a), .diff(let b)):
      let isEmpty = a.isEmpty && b.isEmpty
      return Finding(
        difference: isEmpty ? .none : .rules(PerFamily(ipv4: a, ipv6: b)), key: key, compared: compared,
        isEmpty: isEmpty)
    case (.unreadable(let why), _), (_, .unreadable(let why)):
      return Finding(difference: .notComparable(why), key: key, compared: compared, isEmpty: false)
    }
  }

  private mutating func compare(
    _ family: Family, _ from: RulesText?, _ to: RulesText?
  ) -> (outcome: Outcome, key: Digest) {
    let pair = Pair(from: from?.digest, to: to?.digest)
    if let found = known[pair] { return found }
    let outcome: Outcome
    do throws(Diagnostics) {
      outcome = .diff(
        RulesetDiff.unified(
          from: try from.map { text throws(Diagnostics) in try .parse(save: text.bytes, file: "\(family) now") }
            ?? Ruleset(),
          to: try to.map { text throws(Diagnostics) in try .parse(save: text.bytes, file: "\(family) planned") }
            ?? Ruleset(),
          context: context))
    } catch {
      outcome = .unreadable(SafeText.escape(error.all[0].description))
    }
    var out = ByteWriter()
    switch outcome {
    case .diff(let diff): out.text(diff.text)
    case .unreadable(let why): out.text("unreadable \(why)")
    }
    let found = (outcome: outcome, key: Digest(of: out.bytes))
    known[pair] = found
    return found
  }
}
