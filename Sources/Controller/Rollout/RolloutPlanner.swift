package import Core
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
    let rules =
      desired.mode == "exclusive"
      ? "no rule changes: it runs these rules already; applying installs them as ours"
      : "it has these rules already: ours come before them in chains of ours, its own stay behind"
    return desired.beside.sysctl == nil ? rules : rules + "; kernel settings are made"
  }

  private static func whatChanges(_ found: Comparison.Finding) -> String {
    let parts = [
      (found.changesRules, "the rules"), (found.changesSettings, "kernel settings"),
      (found.changesLockdowns, "lockdown profiles"),
    ].filter(\.0).map(\.1)
    guard let last = parts.last else {
      return "the manifest changes (mode, labels or management sources), the rules do not"
    }
    let what = parts.count == 1 ? last : parts.dropLast().joined(separator: ", ") + " and " + last
    return "\(what) change" + (found.changesRules ? "" : ", the rules do not")
  }

  private static func planned(_ input: PlanInput, _ comparison: inout Comparison) -> PlannedHost {
    func host(_ action: PlanAction, _ reason: String, _ facts: HostFacts?, _ found: Comparison.Finding) -> PlannedHost {
      PlannedHost(
        host: input.host, action: action,
        reason: ([reason] + [facts?.waiting].compactMap(\.self)).joined(separator: "; "),
        mode: input.desired?.mode, desired: input.desired?.content,
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
      var found = comparison.compare(from: facts?.running, to: desired.rules, beside: (.empty, desired.beside))
      // What the host had before is shown where it is known; approved is what it gets.
      found.compared = comparison.compare(from: nil, to: desired.rules).compared
      return host(desired.rules == nil ? .withdraw : .install, Self.beforeUs(facts, desired), facts, found)
    }
    guard committed.content == desired.content else {
      let found = comparison.compare(
        from: facts.running, to: desired.rules, beside: (facts.beside, desired.beside))
      if desired.rules == nil { return host(.withdraw, "is withdrawn", facts, found) }
      var reason = whatChanges(found)
      if facts.running == nil { reason = "the rules change; what it runs now is not in the store" }
      if facts.isDegraded {
        reason += "; the safe policy goes"
      } else if facts.hasDrifted {
        reason += "; what was changed by hand goes"
      }
      return host(.change, reason, facts, found)
    }
    guard facts.hasDrifted, facts.waivedUntil == nil else {
      guard let unwanted = facts.unwanted else {
        let waived = facts.waivedUntil.map { "; what differs there is waived until \($0)" } ?? ""
        return host(.unchanged, "runs what it should\(waived)", facts, .nothing)
      }
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
