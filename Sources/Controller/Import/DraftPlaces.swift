internal import Core
internal import Ruleset

/// Where the rules of a policy that is not written yet stand in the save it is made of: nobody has another file to look
/// into.
struct DraftPlaces {
  private var places: [String: SourceLocation] = [:]
  private var chains: [String: SourceLocation] = [:]
  private let start: SourceLocation

  init(_ rules: ImportedRules, _ options: ImportOptions) {
    start = SourceLocation(file: options.files.ipv4, line: 1, column: 1)
    for family in Family.allCases {
      let file = options.files[family]
      for table in rules.rulesets[family].tables {
        for chain in table.chains {
          let key = PolicyWriter.Detail.key(table.name, chain.name)
          let first = Self.place(chain.rules.first, file)
          note(first, at: ":\(chain.name) \(chain.policy ?? "-")")
          chains[key] = chains[key] ?? first
          for rule in chain.rules { note(rule, Self.place(rule, file), family) }
        }
      }
    }
  }

  private static func place(_ rule: Rule?, _ file: String) -> SourceLocation {
    SourceLocation(file: file, line: max(1, rule?.line ?? 1), column: 1)
  }

  /// As the draft may spell it: in a block of rules, or as an item of both families or of one.
  private mutating func note(_ rule: Rule, _ place: SourceLocation, _ family: Family) {
    let text = String(decoding: rule.bytes, as: UTF8.self)
    note(place, at: text)
    for only in [nil, family] {
      note(place, at: SectionPlan.Item(said: .raw(text), only: only).text(services: false))
    }
  }

  private mutating func note(_ place: SourceLocation, at line: String) { places[line] = places[line] ?? place }

  /// Mistakes of other files stay where they are.
  func moved(_ problems: Diagnostics, of draft: String, in file: String) -> Diagnostics {
    let lines = draft.split(separator: "\n", omittingEmptySubsequences: false)
    let moved = problems.all.map { problem in
      guard problem.location.file == file else { return problem }
      var moved = problem
      let index = problem.location.line - 1
      let line = lines.indices.contains(index) ? String(lines[index].drop { $0 == " " }) : ""
      moved.location = start
      if let place = places[line] { moved.location = place } else { moved.message += ", in `\(line)` made of it" }
      return moved
    }
    return Diagnostics(moved) ?? problems
  }

  /// - Parameter keys: tables and chains, as `PolicyWriter.Detail` names them.
  func first(of keys: [String]) -> SourceLocation { keys.lazy.compactMap { chains[$0] }.first ?? start }
}
