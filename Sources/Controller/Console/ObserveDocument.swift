internal import Audit
internal import Core
internal import Inventory
package import Operations
internal import Ruleset
internal import Wire

/// What observed policies would have dropped, folded over hosts and sources.
package struct ObserveDocument: Document {
  package static let kind = "Observe"

  package struct Drop: Encodable, Sendable {
    let family: String
    let proto: String
    let port: String
    let source: String
    let sources: Int
    let packets: UInt64
    let bytes: UInt64
    let hosts: [String]
  }

  let drops: [Drop]
  /// Whose policies observe.
  let observing: [String]
  /// Whose kernels count no more places than they do, so that there were more than are told.
  let full: [String]
  /// Entries that hosts left out, because there were too many.
  let leftOut: Int
  let unreachable: [SilentHost]
  let notEnrolled: [String]

  package init(_ observed: Observing.Observed) {
    drops = ObservedDrop.fold(observed.hosts.map { ($0.host, $0.observations) }).map {
      Drop(
        family: $0.family.rawValue, proto: $0.proto, port: $0.port, source: $0.source, sources: $0.sources,
        packets: $0.packets, bytes: $0.bytes, hosts: $0.hosts.map(\.description))
    }
    observing = observed.hosts.filter { !$0.observations.observing.isEmpty }.map(\.host.description)
    full = observed.hosts.filter { !$0.observations.full.isEmpty }.map(\.host.description)
    leftOut = observed.hosts.map(\.observations.omitted).reduce(0, +)
    unreachable = SilentHost.list(observed.unreachable)
    notEnrolled = observed.notEnrolled.map(\.description)
  }

  package var names: [String] { observing }
  package var records: [any Encodable] {
    Records.each("drop", drops) + Records.hosts("observing", observing) + Records.hosts("full", full)
      + SilentHost.records(unreachable) + Records.hosts("not-enrolled", notEnrolled)
  }
  package var summary: [String: Int] {
    [
      "drops": drops.count, "observing": observing.count, "left_out": leftOut, "unreachable": unreachable.count,
      "not_enrolled": notEnrolled.count,
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    let shown = style.wide ? drops[...] : drops.prefix(40)
    for drop in shown {
      let port = drop.port.isEmpty || drop.port == "0" ? drop.proto : "\(drop.proto)/\(drop.port)"
      let source = drop.sources > 1 ? "\(drop.sources) addresses in \(drop.source)" : drop.source
      text += "\(drop.packets) packets   \(port)   from \(source)   on \(Folding.fold(drop.hosts))\n"
    }
    if shown.count < drops.count { text += "… \(drops.count - shown.count) more lines; -o wide shows them …\n" }
    if leftOut > 0 { text += "\(leftOut) entries were left out by the hosts: only those of most packets are sent\n" }
    if !full.isEmpty {
      text +=
        "more than that was dropped on \(Folding.fold(full)): it counts \(ObservationSet.capacity) entries of a family, "
        + "and new ones took the place of others\n"
    }
    if observing.isEmpty {
      text += "no host that answered runs a policy with observe: true\n"
    } else if drops.isEmpty {
      text += "nothing would have been dropped on \(Folding.fold(observing))\n"
    }
    text += ReasonLines.text(unreachable.map { ($0.name, $0.reason) }, led: "unreachable: ", style)
    return text + (notEnrolled.isEmpty ? "" : "not enrolled, not asked: \(Folding.fold(notEnrolled))\n")
  }
}
