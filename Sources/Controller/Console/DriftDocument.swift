package import Audit
internal import Core
internal import Inventory
internal import Ruleset

/// What hosts' kernels hold that they did not commit, or lack that they did; folded over identical differences.
package struct DriftDocument: Document {
  package static let kind = "Drift"

  package struct Group: Encodable, Sendable {
    let hosts: [String]
    /// "running rules", "on disk", "beside the rules"
    let sides: [String]
    /// "filter/INPUT", with the family.
    let chains: [String]
    let ipv4: [String]
    let ipv6: [String]
    /// Of each line of `ipv4` and `ipv6` that is missing there: the file and line of the policy that it came from.
    let ipv4Sources: [String?]
    let ipv6Sources: [String?]
    /// What differs beside the rules, in words; `ipv4` and `ipv6` have the same as lines.
    let beside: [String]
    let added: Int
    let removed: Int
    /// When one of the hosts last said something else, when it was first found, and when it was last seen.
    @ExplicitNull var notBefore: String?
    @ExplicitNull var firstSeen: String?
    @ExplicitNull var lastSeen: String?
    /// Best effort: who changed them, by the names of their processes.
    let actors: [String]
    @ExplicitNull var waiver: Waived?
    /// "differs", "resolved-since", "unreadable"
    let finding: String
    let detail: String
    /// For people: rules alone, with those around them where all hosts have the same.
    fileprivate let shown: PerFamily<[String]>

    private enum CodingKeys: CodingKey {
      case hosts, sides, chains, ipv4, ipv6, ipv4Sources, ipv6Sources, beside, added, removed, notBefore, firstSeen,
        lastSeen, actors, waiver, finding, detail
    }

    init(_ group: DriftGroup) {
      hosts = group.hosts.map(\.description)
      sides = group.sides.map(\.rawValue)
      chains = group.chains.map { "\($0.family) \($0.table)/\(OwnedNames.shown($0.chain)) \($0.change.rawValue)" }
      notBefore = group.span?.notBefore?.description
      firstSeen = group.span?.firstSeen.description
      lastSeen = group.span?.lastSeen.description
      actors = group.actors
      waiver = group.waiver.map(Waived.init)
      var diffs = PerFamily<RulesetDiff> { _ in RulesetDiff(lines: []) }
      switch group.finding {
      case .differs(let found):
        diffs = found
        finding = "differs"
        detail = group.untraced ?? ""
      case .resolvedSince:
        finding = "resolved-since"
        detail = "it differed when it reported, and did not any more when its rules were read"
      case .unreadable(let why):
        finding = "unreadable"
        detail = why
      }
      ipv4 = diffs.ipv4.lines.map(\.shown)
      ipv6 = diffs.ipv6.lines.map(\.shown)
      ipv4Sources = DiffText.places(diffs.ipv4.lines.isEmpty ? [] : group.sources.ipv4)
      ipv6Sources = DiffText.places(diffs.ipv6.lines.isEmpty ? [] : group.sources.ipv6)
      beside = BesideWords.of(diffs)
      // No table and no chain came or went where only something beside the rules did.
      let changes = Family.allCases.flatMap { diffs[$0].lines }
        .filter { BesideTable(rawValue: $0.table) == nil || $0.position != nil }
      added = changes.count { $0.kind == .added }
      removed = changes.count { $0.kind == .removed }
      shown = diffs.map { family, diff in
        let places = DiffText.places(group.sources[family])
        let lines = DiffText.lines(diff.lines.map(\.shown), from: places)
        return zip(diff.lines, lines).filter { line, _ in
          BesideTable(rawValue: line.table) == nil
            && (group.sharesContext || (line.kind != .context && line.kind != .gap))
        }.map(\.1)
      }
    }
  }

  /// Who answers for it.
  package struct Waived: Encodable, Sendable {
    let until: String
    let by: String
    let reason: String

    init(_ waiver: Waiver) {
      until = waiver.lastDay
      by = waiver.actor
      reason = waiver.reason
    }
  }

  /// One change, as the host's agent saw it.
  package struct Change: Encodable, Sendable {
    /// By the host's own clock.
    @ExplicitNull var hostTime: String?
    /// How far that is ahead of this machine's, in seconds, where that is more than a few.
    @ExplicitNull var clockAhead: Int64?
    /// When this machine learnt of it.
    let learnt: String
    let chains: [String]
    /// Best effort.
    let actors: [HostEvent.Actor]

    fileprivate init(_ event: HostEvent) {
      learnt = event.at.description
      chains = event.details.chains ?? []
      actors = event.details.actors ?? []
      _hostTime = ExplicitNull(wrappedValue: event.details.hostTime)
      _clockAhead = ExplicitNull(wrappedValue: event.details.clockAhead)
    }
  }

  /// A change of ours is loaded there and waits to be confirmed.
  package struct Waiting: Encodable, Sendable {
    let host: String
    let serial: UInt64
    /// By this machine's clock.
    let until: String
  }

  let groups: [Group]
  /// Of one host that was asked for by its name: what led to what differs, the oldest first.
  let changes: [Change]?
  let asked: Int
  let intact: Int
  let drifted: Int
  /// They differ, and somebody answers for it.
  let waived: Int
  let unreachable: [String]
  /// Whether they differ is known when the change stays or went back.
  let waiting: [Waiting]
  /// Nothing was committed there yet, so nothing can have drifted.
  let unknown: [String]

  /// - Parameter tellsChanges: of one host.
  package init(_ drifts: [HostDrift], statuses: [HostStatus], tellsChanges: Bool = false) {
    changes = tellsChanges ? drifts.flatMap(\.trail.changes).map(Change.init) : nil
    groups = DriftGroup.fold(drifts).map(Group.init)
    asked = statuses.count
    unreachable = statuses.filter { $0.contact == .unreachable }.map(\.host.description)
    let reached = statuses.filter { $0.contact != .unreachable }
    intact = reached.count { $0.integrity == .intact }
    drifted = reached.count { $0.integrity == .drifted }
    waived = reached.count { $0.integrity == .waived }
    waiting = reached.compactMap { status in
      status.pending.map {
        Waiting(host: status.host.description, serial: $0.serial.value, until: $0.until.description)
      }
    }
    unknown = reached.filter { $0.integrity == .unknown && $0.pending == nil }.map(\.host.description)
  }

  /// Unreachable before drifted: a fleet that was not looked at is the greater worry.
  package var exitCode: Int32 { !unreachable.isEmpty ? 4 : drifted > 0 ? 2 : 0 }

  package var names: [String] { groups.flatMap(\.hosts).sorted() }
  package var records: [any Encodable] {
    Records.each("group", groups) + Records.each("change", changes ?? []) + Records.each("waiting", waiting)
      + Records.hosts("unreachable", unreachable) + Records.hosts("unknown", unknown)
  }
  package var summary: [String: Int] {
    [
      "asked": asked, "intact": intact, "drifted": drifted, "waived": waived, "unreachable": unreachable.count,
      "unknown": unknown.count, "waiting": waiting.count,
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = groups.map { Self.text($0, style) }.joined() + changesText
    if !unreachable.isEmpty { text += "unreachable, not judged: \(Folding.fold(unreachable))\n" }
    for (serial, changes) in Dictionary(grouping: waiting, by: \.serial).sorted(by: { $0.key < $1.key }) {
      let until = changes.map(\.until).max() ?? "?"
      text +=
        "release \(serial) waits to be confirmed until \(until), not judged: \(Folding.fold(changes.map(\.host)))\n"
    }
    if !unknown.isEmpty { text += "nothing committed yet, not judged: \(Folding.fold(unknown))\n" }
    let verdict = (drifted == 0 ? "no drift" : "\(drifted) drifted") + (waived == 0 ? "" : ", \(waived) waived")
    return text + "\(verdict); \(intact) of \(asked) intact\n" + (drifted == 0 ? "" : Self.advice)
  }

  private static let advice = """
    next: 'drift repair -l HOSTS' puts back what was committed, 'drift waive' marks it as known until a day,
    'drift adopt' makes a policy of what was added

    """

  private static func text(_ group: Group, _ style: TextStyle) -> String {
    let count = group.hosts.count == 1 ? "1 host" : "\(group.hosts.count) hosts"
    let word = group.waiver == nil ? "drifted" : "waived"
    var text = Paint.heading.on("\(word) \(Folding.fold(group.hosts))", style) + "   \(count)"
    if group.finding == "differs" {
      text += "   +\(group.added) −\(group.removed)   \(group.sides.joined(separator: ", "))"
    }
    text += "\n"
    if let waiver = group.waiver {
      text += "  until \(waiver.until), by \(SafeText.escape(waiver.by)): \(SafeText.escape(waiver.reason))\n"
    }
    if let since = since(group) { text += "  \(since)\n" }
    if !group.detail.isEmpty { text += "  \(SafeText.escape(group.detail))\n" }
    let isAlike = group.shown.ipv4 == group.shown.ipv6
    let families =
      isAlike
      ? [("IPv4 and IPv6", group.shown.ipv4)] : [("IPv4", group.shown.ipv4), ("IPv6", group.shown.ipv6)]
    for (family, lines) in families where !lines.isEmpty {
      text += "  \(family): committed → running\n" + DiffText.cut(lines, style, indent: "    ")
    }
    text += DiffText.cut(group.beside, style, indent: "  ")
    return text + "\n"
  }

  private var changesText: String {
    guard let changes, !changes.isEmpty else { return "" }
    let skew = changes.compactMap(\.clockAhead).last.map { ", \(ClockSkew.words($0))" } ?? ""
    let lines = changes.map { change in
      let who = change.actors.isEmpty ? "" : "  by \(change.actors.map(\.words).joined(separator: ", "))"
      return "  \(change.hostTime ?? "-")  \(change.chains.joined(separator: ", "))\(who)\n"
    }
    return "how it came to that, as its agent saw it (its own clock\(skew); who it was is best effort):\n"
      + lines.suffix(Self.shownChanges).joined() + "\n"
  }

  private static let shownChanges = 20

  private static func since(_ group: Group) -> String? {
    guard let first = group.firstSeen else { return nil }
    let last = group.lastSeen.map { $0 == first ? "" : ", last seen \($0)" } ?? ""
    let by = group.actors.isEmpty ? "" : ", by \(group.actors.joined(separator: ", "))"
    return (group.notBefore.map { "changed between \($0) and \(first)" } ?? "first seen \(first)") + by + last
  }
}
