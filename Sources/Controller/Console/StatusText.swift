internal import Audit
internal import Core
internal import Inventory

/// The fleet for people: one screen, however many hosts there are; `-o wide` leaves nothing out.
extension StatusDocument {
  /// Lines of states, and of reasons below them; one less where there are lockdown profiles. With the counts and both
  /// headings that makes 24.
  private static let stateLines = 8
  private static let reasonLines = 7
  /// Of a terminal, in characters.
  private static let width = 100
  private static let hostsWidth = 28

  package func text(_ style: TextStyle) -> String {
    let axes = [
      ("delivery", Delivery.allCases.map(\.rawValue)), ("integrity", Integrity.allCases.map(\.rawValue)),
      ("contact", Contact.allCases.map(\.rawValue)),
    ]
    let lines = axes.map { axis, words in
      let parts = words.compactMap { word in
        let count = counts[axis]?[word] ?? 0
        return count == 0 ? nil : "\(count) \(word)"
      }
      return "\(axis):".padded(to: 11) + (parts.isEmpty ? "-" : parts.joined(separator: ", "))
    }
    return "\(hosts.count) \(hosts.count == 1 ? "host" : "hosts")\n"
      + (lines + coverage(style)).map { "  \($0)\n" }.joined() + "\n"
      + (style.wide ? wideTable() : foldedTable()) + why(style)
  }

  /// On how many hosts each profile is ready; nothing where nobody has any.
  private func coverage(_ style: TextStyle) -> [String] {
    let parts = lockdownProfiles.map { "\($0.name) \($0.staged) of \($0.hosts)" }
    guard !parts.isEmpty else { return [] }
    let title = "lockdown profiles: "
    var line = title + parts.joined(separator: ", ")
    var left = 0
    while !style.wide, line.count > Self.width - 2, left < parts.count - 1 {
      left += 1
      line = title + parts.dropLast(left).joined(separator: ", ") + ", … \(left) more: -o wide"
    }
    return [line]
  }

  /// Hosts in the same state are one line, the worst first.
  private func foldedTable() -> String {
    struct Key: Hashable {
      let concern: Int
      let words: [String]
    }
    var groups: [Key: [Host]] = [:]
    for host in hosts {
      let modifiers = host.modifiers.isEmpty ? "-" : host.modifiers.joined(separator: ",")
      let key = Key(
        concern: host.concern,
        words: [host.delivery, host.integrity, host.contact, host.serial.map(String.init) ?? "-", modifiers])
      groups[key, default: []].append(host)
    }
    var table = TextTable(["HOSTS", "COUNT", "DELIVERY", "INTEGRITY", "CONTACT", "RELEASE", "MODIFIERS", "REPORTED"])
    let rows = groups.sorted { ($0.key.concern, $0.value[0].name) < ($1.key.concern, $1.value[0].name) }
    // One line more would be that which says that there is one more.
    let shown = rows.count <= Self.stateLines + 1 ? rows : Array(rows.prefix(Self.stateLines))
    for (key, members) in shown {
      let names = Folding.fold(members.map(\.name), atMost: Self.hostsWidth)
      table.add([names, "\(members.count)"] + key.words + [oldest(members)])
    }
    let rest = rows.dropFirst(shown.count)
    guard !rest.isEmpty else { return table.text() }
    let count = rest.reduce(0) { $0 + $1.value.count }
    return table.text()
      + "… \(count) hosts in \(rest.count) other states, none worse: name them with -l, or -o wide\n"
  }

  private func oldest(_ members: [Host]) -> String {
    let ages = members.compactMap(\.ageSeconds)
    return ages.max().map { Age.text($0) + " ago" } ?? "never"
  }

  private func wideTable() -> String {
    var table = TextTable([
      "HOST", "DELIVERY", "INTEGRITY", "CONTACT", "RELEASE", "MODIFIERS", "REPORTED", "BACKEND", "AGENT", "IPV4",
      "IPV6", "BESIDE",
    ])
    for host in hosts {
      table.add([
        host.name, host.delivery, host.integrity, host.contact, host.serial.map(String.init) ?? "-",
        host.modifiers.isEmpty ? "-" : host.modifiers.joined(separator: ","), oldest([host]), host.backend ?? "-",
        host.agentVersion ?? "-", Self.short(host.ipv4.observed), Self.short(host.ipv6.observed),
        Self.beside(host),
      ])
    }
    return table.text()
  }

  /// Owners by name, and the tables of nobody known.
  private static func beside(_ host: Host) -> String {
    let unknown = host.foreignTables.filter { $0.owner == nil }.map { SafeText.escape("\($0.family)/\($0.name)") }
    let owners = Set(host.owners + host.foreignTables.compactMap(\.owner)).sorted()
    return owners.isEmpty && unknown.isEmpty ? "-" : (owners + unknown).joined(separator: ",")
  }

  private static func short(_ digest: String?) -> String { digest.map { String($0.dropFirst(7).prefix(12)) } ?? "-" }

  /// What keeps hosts from being current, intact and fresh; hosts with the same reasons are one line.
  private func why(_ style: TextStyle) -> String {
    let troubled = hosts.filter { !$0.reasons.isEmpty || !$0.conflicts.isEmpty }
    let groups = Alike.fold(troubled.map { ($0.name, $0.conflicts, $0.reasons) }, style)
    let lines = groups.map { group in
      let reasons = group.texts + group.key.map { "\($0) is enabled too, and loads rules of its own" }
      let names = style.wide ? Folding.fold(group.hosts) : Folding.fold(group.hosts, atMost: Self.hostsWidth)
      return "\(names): \(reasons.map { SafeText.escape($0) }.joined(separator: "; "))"
    }
    guard !lines.isEmpty else { return "" }
    let rows = lines.reduce(0) { $0 + ($1.count + Self.width - 1) / Self.width }
    let room = Self.reasonLines - (lockdownProfiles.isEmpty ? 0 : 1)
    guard !style.wide, lines.count > 1, rows > room else {
      return "\n" + lines.map { $0 + "\n" }.joined()
    }
    let shown = lines.prefix(room).map { $0.count <= Self.width ? $0 : $0.prefix(Self.width - 1) + "…" }
    let rest = groups.dropFirst(room).reduce(0) { $0 + $1.hosts.count }
    let others = rest == 0 ? "" : "\(lines.count - shown.count) other reasons on \(rest) hosts, "
    return "\n" + shown.map { $0 + "\n" }.joined() + "… \(others)and all in full: name hosts with -l, or -o wide\n"
  }
}

extension String {
  func padded(to width: Int) -> String { count < width ? self + String(repeating: " ", count: width - count) : self }
}
