package import Audit
package import Core
internal import Inventory
package import Operations

/// What was waived just now.
package struct WaiveDocument: Document {
  package static let kind = "Waive"

  let waived: [WaiversDocument.Entry]
  /// Hosts that may differ and got none, and why.
  let leftOut: [String: String]
  /// Nothing differs there.
  let intact: [String]
  let unreachable: [String]

  package init(_ made: Waiving.Waived, now: UTCTime) {
    waived = made.waivers.map { WaiversDocument.Entry($0, now: now) }
    leftOut = Dictionary(uniqueKeysWithValues: made.leftOut.map { ($0.description, $1) })
    intact = made.intact.map(\.description)
    unreachable = made.unreachable.map(\.description)
  }

  /// Nothing to waive is what was asked for not done; some of it is a finding.
  package var exitCode: Int32 { !unreachable.isEmpty ? 4 : waived.isEmpty ? 5 : leftOut.isEmpty ? 0 : 2 }

  package var names: [String] { waived.map(\.host) }
  package var records: [any Encodable] {
    Records.each("waived", waived)
      + Records.each("left_out", leftOut.sorted { $0.key < $1.key }.map { ["host": $0.key, "why": $0.value] })
      + Records.hosts("intact", intact) + Records.hosts("unreachable", unreachable)
  }
  package var summary: [String: Int] {
    [
      "waived": waived.count, "left_out": leftOut.count, "intact": intact.count, "unreachable": unreachable.count,
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = waived.isEmpty ? "" : WaiversDocument.table(waived)
    for (why, hosts) in Dictionary(grouping: leftOut.keys.sorted(), by: { leftOut[$0] ?? "" }).sorted(by: {
      $0.key < $1.key
    }) {
      text += "left out, \(why): \(Folding.fold(hosts))\n"
    }
    if !intact.isEmpty { text += "nothing differs: \(Folding.fold(intact))\n" }
    if !unreachable.isEmpty { text += "unreachable: \(Folding.fold(unreachable))\n" }
    return text + "\(waived.count) waived" + (leftOut.isEmpty ? "" : ", \(leftOut.count) left out") + "\n"
  }
}

/// Which differences somebody answers for, or did until now.
package struct WaiversDocument: Document {
  package static let kind = "Waivers"

  package struct Entry: Encodable, Sendable {
    let host: String
    let until: String
    let over: Bool
    let difference: String
    let by: String
    let reason: String
    let made: String

    init(_ waiver: Waiver, now: UTCTime) {
      host = waiver.host.description
      until = waiver.lastDay
      over = waiver.isOver(at: now)
      difference = waiver.words
      by = waiver.actor
      reason = waiver.reason
      made = waiver.made.description
    }
  }

  let waivers: [Entry]
  /// They do not hold any more.
  let ended: Bool

  package init(_ waivers: [Waiver], now: UTCTime, ended: Bool = false) {
    self.waivers = waivers.map { Entry($0, now: now) }
    self.ended = ended
  }

  package var names: [String] { waivers.map(\.host) }
  package var records: [any Encodable] { waivers }
  package var summary: [String: Int] { ["waivers": waivers.count, "over": waivers.count(where: \.over)] }

  package func text(_ style: TextStyle) -> String {
    guard !waivers.isEmpty else { return ended ? "nothing was waived there\n" : "nothing is waived\n" }
    return Self.table(waivers) + (ended ? "\(waivers.count) ended\n" : "")
  }

  /// Folded over hosts with the same.
  static func table(_ waivers: [Entry]) -> String {
    struct Key: Hashable {
      let until: String
      let words: [String]
    }
    var table = TextTable(["HOSTS", "UNTIL", "BY", "REASON", "DIFFERENCE"])
    let groups = Dictionary(grouping: waivers) { entry in
      Key(
        until: entry.until,
        words: [
          entry.until + (entry.over ? " (over)" : ""), SafeText.escape(entry.by), SafeText.escape(entry.reason),
          SafeText.escape(entry.difference),
        ])
    }
    for (key, members) in groups.sorted(by: { ($0.key.until, $0.value[0].host) < ($1.key.until, $1.value[0].host) }) {
      table.add([Folding.fold(members.map(\.host))] + key.words)
    }
    return table.text()
  }
}
