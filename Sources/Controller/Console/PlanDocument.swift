internal import Audit
package import Core
internal import Inventory
package import Operations
package import Rollout
package import Ruleset

/// What `apply` would do, folded over hosts with the same change.
package struct PlanDocument: Document {
  package static let kind = "Plan"

  package struct Group: Encodable, Sendable {
    let action: String
    let reason: String
    let hosts: [String]
    let ipv4: [String]
    let ipv6: [String]
    let added: Int
    let removed: Int
    /// Of each line of `ipv4` and `ipv6` that is added: the file and line it comes from.
    let ipv4Sources: [String?]
    let ipv6Sources: [String?]
    /// Why there is no difference to show, when there should be one.
    let notComparable: String?
  }

  /// Hosts that will be touched and have the same around our rules.
  package struct Beside: Encodable, Sendable {
    let hosts: [String]
    /// "owned" or "exclusive"
    let mode: String
    let owners: [String]
    let warnings: [String]
  }

  let fleet: String
  let fingerprint: String
  let lastSerial: UInt64
  let groups: [Group]
  let beside: [Beside]
  let counts: [String: Int]
  /// Outside of `--limit`, whom the same files would change too.
  let alsoChanging: [String]
  /// DNS names of policies, and the addresses they are pinned to.
  let dnsNames: [ResolveDocument.Name]
  /// Those that were asked first and did not answer.
  let unreachable: [SilentHost]

  package init(_ planned: Planning.Planned) {
    self.init(
      planned.plan, surroundings: planned.surroundings, alsoChanging: planned.alsoChanging.map(\.description),
      dnsNames: planned.names?.names.map(ResolveDocument.Name.init) ?? [], unreachable: planned.unreachable ?? [:]
    ) { planned.sources(of: $0) }
  }

  package init(
    _ plan: RolloutPlan, surroundings: [Surroundings] = [], alsoChanging: [String] = [],
    dnsNames: [ResolveDocument.Name] = [], unreachable: [HostID: String] = [:],
    sources: (PlanGroup) -> (Family, DiffLine) -> SourceLocation? = { _ in { _, _ in nil } }
  ) {
    self.alsoChanging = alsoChanging
    self.dnsNames = dnsNames
    self.unreachable = SilentHost.list(unreachable)
    fleet = plan.fleet.description
    fingerprint = plan.fingerprint.description
    lastSerial = plan.serialBase.value
    groups = plan.groups.map { group in
      let hosts = group.hosts.map(\.description)
      switch group.difference {
      case .none:
        return Group(
          action: group.action.rawValue, reason: group.reason, hosts: hosts, ipv4: [], ipv6: [], added: 0, removed: 0,
          ipv4Sources: [], ipv6Sources: [], notComparable: nil)
      case .rules(let diff):
        let source = sources(group)
        let places = diff.map { family, diff in DiffText.places(diff.lines.map { source(family, $0) }) }
        return Group(
          action: group.action.rawValue, reason: group.reason, hosts: hosts, ipv4: diff.ipv4.lines.map(\.shown),
          ipv6: diff.ipv6.lines.map(\.shown), added: diff.ipv4.added + diff.ipv6.added,
          removed: diff.ipv4.removed + diff.ipv6.removed, ipv4Sources: places.ipv4,
          ipv6Sources: places.ipv6, notComparable: nil)
      case .notComparable(let why):
        return Group(
          action: group.action.rawValue, reason: group.reason, hosts: hosts, ipv4: [], ipv6: [], added: 0, removed: 0,
          ipv4Sources: [], ipv6Sources: [], notComparable: why)
      }
    }
    beside = Self.fold(surroundings)
    var counts: [String: Int] = [:]
    for action in PlanAction.allCases { counts[action.rawValue] = 0 }
    for host in plan.hosts { counts[host.action.rawValue, default: 0] += 1 }
    self.counts = counts
  }

  private static func fold(_ surroundings: [Surroundings]) -> [Beside] {
    struct Key: Hashable {
      let mode: String
      let owners: [ForeignOwner]
      let warnings: [String]
    }
    return Dictionary(grouping: surroundings) { Key(mode: $0.mode, owners: $0.owners, warnings: $0.warnings) }
      .map { key, members in
        Beside(
          hosts: members.map(\.host).sorted().map(\.description), mode: key.mode, owners: key.owners.map(\.rawValue),
          warnings: key.warnings)
      }
      .sorted {
        (-$0.warnings.count, -$0.hosts.count, $0.hosts[0]) < (-$1.warnings.count, -$1.hosts.count, $1.hosts[0])
      }
  }

  package var toChange: Int {
    PlanAction.allCases.filter(\.touchesHost).reduce(0) { $0 + counts[$1.rawValue, default: 0] }
  }

  /// - Parameter errors: mistakes that `apply` would refuse.
  /// - Parameter tellsChanges: a change is a finding.
  package func exitCode(errors: Int, tellsChanges: Bool) -> Int32 {
    var tally = RunTally()
    tally.unreachable = unreachable.count
    tally.findings = errors + (tellsChanges ? toChange : 0)
    return tally.exitCode.rawValue
  }

  package var names: [String] {
    let touching = Set(PlanAction.allCases.filter(\.touchesHost).map(\.rawValue))
    return groups.filter { touching.contains($0.action) }.flatMap(\.hosts).sorted()
  }
  package var records: [any Encodable] {
    Records.each("group", groups) + Records.each("beside", beside)
      + Records.hosts("also-changing", alsoChanging) + Records.each("dns-name", dnsNames)
      + SilentHost.records(unreachable)
  }
  package var summary: [String: Int] { counts.merging(["unreachable": unreachable.count]) { $1 } }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for group in groups where style.wide || group.action != PlanAction.unchanged.rawValue {
      text += Self.header(group, style) + Self.difference(group, style) + "\n"
    }
    text += beside.map { Self.beside($0, style) }.joined()
    if !beside.isEmpty { text += "\n" }
    text += dnsNames.map { ResolveDocument.line($0, style) }.joined()
    if dnsNames.contains(where: \.moved) {
      text += "  hint: rules keep the pinned addresses; 'portcullis resolve' pins the new ones\n"
    }
    if !dnsNames.isEmpty { text += "\n" }
    if !alsoChanging.isEmpty {
      text += "outside of --limit, the same files would also change \(Folding.fold(alsoChanging))\n\n"
    }
    text += SilentHost.text(unreachable, style)
    if !unreachable.isEmpty { text += "\n" }
    let counted = PlanAction.allCases.filter { !$0.touchesHost }.compactMap { action -> String? in
      let count = counts[action.rawValue] ?? 0
      return count == 0 ? nil : "\(count) \(action.rawValue)"
    }
    let tail = counted.isEmpty ? "" : ", " + counted.joined(separator: ", ")
    return text
      + (toChange == 0 ? "Plan: nothing would change" : "Plan: \(toChange) to change") + tail
      + ". Nothing was written.\n"
  }

  private static func beside(_ beside: Beside, _ style: TextStyle) -> String {
    let owners = beside.owners.isEmpty ? "" : ", beside \(beside.owners.joined(separator: ", "))"
    return "\(beside.mode)\(owners): \(Folding.fold(beside.hosts))\n"
      + beside.warnings.map { Paint.bad.on("  warning: \(SafeText.escape($0))", style) + "\n" }.joined()
  }

  private static func header(_ group: Group, _ style: TextStyle) -> String {
    let count = group.hosts.count == 1 ? "1 host" : "\(group.hosts.count) hosts"
    let change = group.added + group.removed == 0 ? "" : "   +\(group.added) −\(group.removed)"
    return Paint.heading.on("\(group.action) \(Folding.fold(group.hosts))", style)
      + "   \(count)\(change)   \(SafeText.escape(group.reason))\n"
  }

  /// A first install is all additions: its beginning tells what it is, `-o wide` shows the rest. Changes of rules that
  /// run are always shown whole.
  private static let installLines = 12

  private static func difference(_ group: Group, _ style: TextStyle) -> String {
    if let why = group.notComparable { return "  cannot show the difference: \(SafeText.escape(why))\n" }
    let isCut = group.action == PlanAction.install.rawValue && !style.wide
    let families = [("IPv4", group.ipv4, group.ipv4Sources), ("IPv6", group.ipv6, group.ipv6Sources)]
    return families.map { family, texts, sources in
      guard !texts.isEmpty else { return "" }
      let lines = DiffText.lines(texts, from: sources)
      let shown = isCut && lines.count > installLines + 1 ? Array(lines.prefix(installLines)) : lines
      let hidden = lines.count - shown.count
      return "  \(family)\n" + DiffText.cut(shown, style, indent: "    ")
        + (hidden == 0 ? "" : "    … \(hidden) more lines; -o wide shows them …\n")
    }.joined()
  }
}
