package import Audit
internal import Core
internal import Inventory
internal import Ruleset

/// What hosts' kernels hold that they did not commit, or lack that they did; folded over identical differences.
package struct DriftDocument: Document {
  package static let kind = "Drift"

  package struct Group: Encodable, Sendable {
    let hosts: [String]
    /// "filter/INPUT", with the family.
    let chains: [String]
    let ipv4: [String]
    let ipv6: [String]
    /// Of each line of `ipv4` and `ipv6` that is missing there: the file and line of the policy that it came from.
    let ipv4Sources: [String?]
    let ipv6Sources: [String?]
    let added: Int
    let removed: Int
    /// "differs", "resolved-since", "unreadable"
    let finding: String
    let detail: String
  }

  let groups: [Group]
  let asked: Int
  let intact: Int
  let drifted: Int
  let unreachable: [String]
  /// Nothing was committed there yet, so nothing can have drifted.
  let unknown: [String]

  package init(_ drifts: [HostDrift], statuses: [HostStatus]) {
    groups = DriftGroup.fold(drifts).map { group in
      let hosts = group.hosts.map(\.description)
      let chains = group.chains.map { "\($0.family) \($0.table)/\(OwnedNames.shown($0.chain)) \($0.change.rawValue)" }
      switch group.finding {
      case .differs(let diff):
        return Group(
          hosts: hosts, chains: chains, ipv4: diff.ipv4.lines.map(\.shown), ipv6: diff.ipv6.lines.map(\.shown),
          ipv4Sources: DiffText.places(group.sources.ipv4), ipv6Sources: DiffText.places(group.sources.ipv6),
          added: diff.ipv4.added + diff.ipv6.added, removed: diff.ipv4.removed + diff.ipv6.removed,
          finding: "differs", detail: group.untraced ?? "")
      case .resolvedSince:
        return Group(
          hosts: hosts, chains: chains, ipv4: [], ipv6: [], ipv4Sources: [], ipv6Sources: [], added: 0, removed: 0,
          finding: "resolved-since",
          detail: "it differed when it reported, and did not any more when its rules were read")
      case .unreadable(let why):
        return Group(
          hosts: hosts, chains: chains, ipv4: [], ipv6: [], ipv4Sources: [], ipv6Sources: [], added: 0, removed: 0,
          finding: "unreadable", detail: why)
      }
    }
    asked = statuses.count
    unreachable = statuses.filter { $0.contact == .unreachable }.map(\.host.description)
    let reached = statuses.filter { $0.contact != .unreachable }
    intact = reached.count { $0.integrity == .intact }
    drifted = reached.count { $0.integrity == .drifted }
    unknown = reached.filter { $0.integrity == .unknown }.map(\.host.description)
  }

  /// Unreachable before drifted: a fleet that was not looked at is the greater worry.
  package var exitCode: Int32 { !unreachable.isEmpty ? 4 : drifted > 0 ? 2 : 0 }

  package var names: [String] { groups.flatMap(\.hosts).sorted() }
  package var records: [any Encodable] {
    Records.each("group", groups) + Records.hosts("unreachable", unreachable)
      + Records.hosts("unknown", unknown)
  }
  package var summary: [String: Int] {
    ["asked": asked, "intact": intact, "drifted": drifted, "unreachable": unreachable.count, "unknown": unknown.count]
  }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for group in groups {
      let count = group.hosts.count == 1 ? "1 host" : "\(group.hosts.count) hosts"
      text += Paint.heading.on("drifted \(Folding.fold(group.hosts))", style)
      text += "   \(count)" + (group.finding == "differs" ? "   +\(group.added) −\(group.removed)" : "") + "\n"
      if !group.detail.isEmpty { text += "  \(SafeText.escape(group.detail))\n" }
      let families = [("IPv4", group.ipv4, group.ipv4Sources), ("IPv6", group.ipv6, group.ipv6Sources)]
      for (family, lines, places) in families where !lines.isEmpty {
        text += "  \(family): committed → running\n"
        text += DiffText.cut(DiffText.lines(lines, from: places), style, indent: "    ")
      }
      text += "\n"
    }
    if !unreachable.isEmpty { text += "unreachable, not judged: \(Folding.fold(unreachable))\n" }
    if !unknown.isEmpty { text += "nothing committed yet, not judged: \(Folding.fold(unknown))\n" }
    let verdict = drifted == 0 ? "no drift" : "\(drifted) drifted"
    return text + "\(verdict); \(intact) of \(asked) intact\n"
  }
}
