package import Core
package import Operations
internal import Policy

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

  let host: String?
  let policies: [String]
  let ipv4: [Line]
  let ipv6: [Line]
  let sets: [Set]
  let sysctl: [String: String]

  /// - Parameter families: those to show.
  package init(_ rendering: Rendering, families: [Family]) {
    func lines(_ family: Family) -> [Line] {
      guard families.contains(family) else { return [] }
      return rendering.lines[family].map { Line(text: $0.text, source: $0.place.map { "\($0.file):\($0.line)" }) }
    }
    host = rendering.host?.description
    policies = rendering.policies
    ipv4 = lines(.ipv4)
    ipv6 = lines(.ipv6)
    sets = rendering.compiled.sets.filter { families.contains($0.family) }.map {
      Set(name: $0.name, family: $0.family.rawValue, entries: $0.prefixes.map(\.description))
    }
    sysctl = Dictionary(uniqueKeysWithValues: rendering.compiled.sysctl.map { ($0.key, $0.value) })
  }

  package var names: [String] { [host].compactMap(\.self) }
  package var records: [any Encodable] { [self] }

  package func text(_ style: TextStyle) -> String {
    var text = ""
    for (family, lines) in [("IPv4", ipv4), ("IPv6", ipv6)] where !lines.isEmpty {
      text += Paint.heading.on("# \(family): \(policies.joined(separator: ", "))", style) + "\n"
      // Places stand in one column, but not behind the longest line of all.
      let width = min(lines.map(\.text.utf8.count).max() ?? 0, 100)
      for line in lines {
        let padding = String(repeating: " ", count: max(0, width - line.text.utf8.count))
        let place = line.source.map { padding + "   # " + SafeText.escape($0) } ?? ""
        text += SafeText.escape(line.text) + (line.text.hasPrefix("-") ? place : "") + "\n"
      }
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
    return text
  }
}
