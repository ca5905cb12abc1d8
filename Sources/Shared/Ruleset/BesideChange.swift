/// The lines of one table that is none of the kernel's.
struct BesideChange {
  let table: String
  private var lines: [DiffLine] = []
  private var added = 0
  private var removed = 0

  init(table: String) { self.table = table }

  mutating func add(_ kind: DiffLine.Kind, _ text: String) {
    lines.append(DiffLine(kind: kind, table: table, chain: nil, text: text, newLine: 0, position: nil))
    count(kind)
  }

  /// A change that has no line of its own.
  mutating func count(_ kind: DiffLine.Kind) {
    switch kind {
    case .added: added += 1
    case .removed: removed += 1
    case .header, .gap, .context: break
    }
  }

  /// Under its heading, if there is any change.
  var diff: RulesetDiff {
    guard !lines.isEmpty else { return RulesetDiff(lines: [], added: 0, removed: 0) }
    let heading = DiffLine(kind: .header, table: table, chain: nil, text: "*\(table)", newLine: 0, position: nil)
    return RulesetDiff(lines: [heading] + lines, added: added, removed: removed)
  }
}
