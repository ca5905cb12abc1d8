package import Audit
internal import Core
internal import Inventory
internal import Ruleset
internal import Wire

/// One line of `drift --watch`, with the rules below it: the same of all hosts that said so at about the same time.
package struct ChangeRecord: Encodable, Sendable {
  struct Chain: Encodable, Sendable {
    let family: String
    let table: String
    let chain: String
    /// "added", "removed" or "changed"
    let change: String
  }

  /// Best effort: as the kernel announced it, of the first of the hosts.
  struct Actor: Encodable, Sendable {
    let name: String
    let process: UInt32
  }

  let type = "change"
  /// When the first of them was heard of, by this machine's clock.
  let time: String
  /// By that host's own.
  @ExplicitNull var hostTime: String?
  /// By that clock too: what changed did so after that; null where `hostTime` says when.
  @ExplicitNull var hostSince: String?
  let hosts: [String]
  /// "differs", "drifted", "waived", "as-committed", "waits", "released", "safe-policy", "forgotten", "lost" or
  /// "watched-again"
  let what: String
  /// "ours" or "others"; null where nothing changed.
  @ExplicitNull var cause: String?
  @ExplicitNull var serial: UInt64?
  let chains: [Chain]
  /// Chains that changed too and are not among these.
  let omittedChains: Int
  let actors: [Actor]
  /// The lines that came (`+`) and went (`-`).
  let ipv4: [String]
  let ipv6: [String]
  /// What changed beside the rules, in words.
  let beside: [String]
  /// Why there is no more to tell.
  let detail: String

  package init(_ group: WatchedGroup) {
    let first = group.first
    time = first.at.description
    hosts = group.hosts.map(\.description)
    actors = first.actors.map { Actor(name: SafeText.escape($0.name), process: $0.process) }
    ipv4 = first.moves.filter { $0.family == .ipv4 }.map(\.text)
    ipv6 = first.moves.filter { $0.family == .ipv6 }.map(\.text)
    beside = first.beside
    var cause: String?
    var serial: UInt64?
    var chains: [Chain] = []
    var omittedChains = 0
    var detail = first.unread ?? ""
    switch first.event {
    case .heard: what = "heard"
    case .differs: what = first.isWaived ? "waived" : "differs"
    case .waits(let waiting):
      what = "waits"
      cause = "ours"
      serial = waiting.value
      detail = first.until.map { "until \($0)" } ?? ""
    case .changed(let by, let families, let changed, let omitted):
      let differs = families.ipv4 || families.ipv6
      switch by {
      case .others:
        cause = "others"
        what = !differs ? "as-committed" : first.isWaived ? "waived" : "drifted"
      case .ours(let committed):
        cause = "ours"
        serial = committed?.value
        what = differs ? "safe-policy" : "released"
      case .oursBesides(let committed):
        cause = "ours"
        serial = committed?.value
        what = "released"
        if detail.isEmpty, differs { detail = "what differed before still does" }
      }
      chains = changed.map {
        Chain(
          family: $0.family.rawValue, table: SafeText.escape($0.table),
          chain: SafeText.escape(OwnedNames.shown($0.chain)), change: "\($0.change)")
      }
      omittedChains = omitted
    case .forgotten(let count):
      what = "forgotten"
      detail = "\(count) \(count == 1 ? "change is" : "changes are") not remembered there any more"
    case .lost(let why):
      what = "lost"
      detail = why
    case .watchedAgain: what = "watched-again"
    }
    self.chains = chains
    self.omittedChains = omittedChains
    self.detail = detail
    _hostTime = ExplicitNull(wrappedValue: first.hostTime?.description)
    _hostSince = ExplicitNull(wrappedValue: first.hostSince?.description)
    _cause = ExplicitNull(wrappedValue: cause)
    _serial = ExplicitNull(wrappedValue: serial)
  }

  /// Ends in a line feed.
  package func text(_ style: TextStyle) -> String {
    var parts = [time, Paint.heading.on(Folding.fold(hosts), style)]
    if hosts.count > 1 { parts.append("\(hosts.count) hosts") }
    parts.append(words)
    if !chains.isEmpty { parts.append(chainWords) }
    if let hostSince { parts.append("at some time since \(hostSince) of its clock") }
    if !actors.isEmpty {
      // The kernel's word on who it was is not to be relied on.
      let names = hosts.count > 1 ? actors.map(\.name) : actors.map { "\($0.name) (process \($0.process))" }
      parts.append("by " + names.joined(separator: ", ") + "?")
    }
    var text = parts.joined(separator: "  ") + "\n"
    if !detail.isEmpty { text += "  \(SafeText.escape(detail))\n" }
    for (family, lines) in [("IPv4", ipv4), ("IPv6", ipv6)] where !lines.isEmpty {
      text += "  \(family)\n"
      for line in lines.prefix(Self.shownLines) {
        text += "    " + (line.hasPrefix("+") ? Paint.added : Paint.removed).on(line, style) + "\n"
      }
      if lines.count > Self.shownLines { text += "    … \(lines.count - Self.shownLines) more lines\n" }
    }
    return text + DiffText.cut(beside, style, indent: "  ")
  }

  private static let shownLines = 40
  private static let shownChains = 4

  private var words: String {
    switch what {
    case "differs": "differs from what was committed"
    case "drifted": "drifted"
    case "waived": "differs as somebody waived it"
    case "heard": "answered"
    case "as-committed": "is as committed again"
    case "waits": "release \(serial.map { "\($0)" } ?? "?") is loaded and waits to be confirmed"
    case "released": serial.map { "release \($0) is loaded" } ?? "our rules are loaded"
    case "safe-policy": "its agent loaded other rules than release \(serial.map { "\($0)" } ?? "?")"
    case "lost": "is not watched"
    case "watched-again": "is watched again"
    default: "changed before"
    }
  }

  private var chainWords: String {
    let named = chains.prefix(Self.shownChains).map {
      // What stands beside the rules is no chain of theirs, and of no family.
      BesideWords.place(table: $0.table, chain: $0.chain)
        ?? "\($0.family == "ipv4" ? "IPv4" : "IPv6") \($0.table)/\($0.chain) \($0.change)"
    }
    let more = chains.count - named.count + omittedChains
    return named.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
  }
}

/// How a watch is printed: line by line, since it has no end.
package struct ChangePrinter: Sendable {
  private let format: OutputFormat
  private let colour: Bool
  private var told = 0

  package init(_ format: OutputFormat, colour: Bool) {
    self.format = format
    self.colour = colour
  }

  package var head: String {
    get throws { format == .ndjson ? try DocumentPrinter.versionLine(of: "Changes") : "" }
  }

  package mutating func lines(_ group: WatchedGroup) throws -> String {
    told += 1
    let record = ChangeRecord(group)
    switch format {
    case .ndjson: return try DocumentPrinter.line(record)
    case .text, .wide, .json, .name: return record.text(TextStyle(colour: colour))
    }
  }

  package func end(differing: Int, lost: Int, watched: Int) throws -> String {
    let counts = ["watched": watched, "differing": differing, "lost": lost, "lines": told]
    if format == .ndjson { return try DocumentPrinter.summaryLine(counts) }
    return "\(differing == 0 ? "no drift" : "\(differing) drifted"); \(watched - lost) of \(watched) watched\n"
  }
}
