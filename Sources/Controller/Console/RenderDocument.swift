package import Core
package import Operations
internal import Policy
internal import Ruleset

/// A host's rules and where each comes from.
package struct RenderDocument: Document {
  package static let kind = "Render"

  package struct Line: Encodable, Sendable {
    let text: String
    let source: String?
  }

  package struct Set: Encodable, Sendable {
    let name: String
    let family: String
    let entries: [String]
  }

  package struct Lockdown: Encodable, Sendable {
    let name: String
    let rank: UInt16
    let ipv4: [Line]
    let ipv6: [Line]
  }

  let host: String?
  let policies: [String]
  let ipv4: [Line]
  let ipv6: [Line]
  let sets: [Set]
  let sysctl: [String: String]
  let lockdowns: [Lockdown]

  /// - Parameter families: those to show.
  package init(_ rendering: Rendering, families: [Family]) {
    func lines(_ all: PerFamily<[Rendering.Line]>, _ family: Family) -> [Line] {
      guard families.contains(family) else { return [] }
      return all[family].map { Line(text: $0.text, source: $0.place.map { "\($0.file):\($0.line)" }) }
    }
    host = rendering.host?.description
    policies = rendering.policies
    ipv4 = lines(rendering.lines, .ipv4)
    ipv6 = lines(rendering.lines, .ipv6)
    lockdowns = rendering.profiles.map {
      Lockdown(name: $0.name, rank: $0.rank, ipv4: lines($0.lines, .ipv4), ipv6: lines($0.lines, .ipv6))
    }
    sets = rendering.compiled.addressSets.filter { families.contains($0.family) }.map {
      Set(name: $0.name, family: $0.family.rawValue, entries: $0.elements.map(\.description))
    }
    sysctl = Dictionary(
      uniqueKeysWithValues: rendering.compiled.settings.values.map { ($0.description, "\($1)") })
  }

  package var names: [String] { [host].compactMap(\.self) }
  package var records: [any Encodable] { [self] }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for (family, lines) in [("IPv4", ipv4), ("IPv6", ipv6)] {
      text += Self.text(lines, "\(family): \(policies.joined(separator: ", "))", style)
    }
    for set in sets {
      text += "# set \(set.name) (\(set.family)): \(set.entries.count) entries\n"
      let shown = style.wide ? set.entries[...] : set.entries.prefix(5)
      text += shown.map { "#   \($0)\n" }.joined()
      if shown.count < set.entries.count {
        text += "#   … \(set.entries.count - shown.count) more; -o wide shows them\n"
      }
    }
    for (key, value) in sysctl.sorted(by: { $0.key < $1.key }) {
      text += "# sysctl \(key) = \(SafeText.escape(value))\n"
    }
    for lockdown in lockdowns {
      for (family, lines) in [("IPv4", lockdown.ipv4), ("IPv6", lockdown.ipv6)] {
        text += Self.text(lines, "\(family): lockdown \(lockdown.name) (rank \(lockdown.rank))", style)
      }
    }
    return text
  }

  /// Nothing where there are no lines.
  private static func text(_ lines: [Line], _ heading: String, _ style: TextStyle) -> String {
    guard !lines.isEmpty else { return "" }
    var text = Paint.heading.on("# \(heading)", style) + "\n"
    // Places stand in one column, but not behind the longest line of all.
    let width = min(lines.map(\.text.utf8.count).max() ?? 0, 100)
    for line in lines {
      let padding = String(repeating: " ", count: max(0, width - line.text.utf8.count))
      let place = line.source.map { padding + "   # " + SafeText.escape($0) } ?? ""
      text += SafeText.escape(line.text) + (line.text.hasPrefix("-") ? place : "") + "\n"
    }
    return text
  }
}
