package import Core

/// Mistakes found so far: readers go on after one, because people mend several at once.
package struct Problems: Sendable {
  /// More than anybody reads; the rest of a hopeless file is not worth listing.
  package static let limit = 200

  package private(set) var all: [Diagnostic] = []

  package init() {}

  package var isEmpty: Bool { all.isEmpty }

  package mutating func add(_ location: SourceLocation, _ message: String, hint: String? = nil) {
    add(Diagnostic(location, message, hint: hint))
  }

  package mutating func add(_ diagnostic: Diagnostic) {
    if all.count < Self.limit { all.append(diagnostic) }
  }

  package mutating func add(_ diagnostics: Diagnostics) { diagnostics.all.forEach { add($0) } }

  /// Throws everything found, in reading order: by file as met, then line and column.
  package func throwIfAny() throws(Diagnostics) {
    var order: [String: Int] = [:]
    for diagnostic in all where order[diagnostic.location.file] == nil {
      order[diagnostic.location.file] = order.count
    }
    var seen = Set<Diagnostic>()
    let sorted = all.filter { seen.insert($0).inserted }.sorted { a, b in
      (order[a.location.file]!, a.location.line, a.location.column, a.message)
        < (order[b.location.file]!, b.location.line, b.location.column, b.message)
    }
    if let diagnostics = Diagnostics(sorted) { throw diagnostics }
  }
}

/// Text of a file between quotation marks, safe to print and not longer than a line.
package func quoted(_ text: some StringProtocol) -> String {
  let safe = SafeText.escape(text.prefix(80))
  return text.count > 80 ? "\"\(safe)…\"" : "\"\(safe)\""
}

/// `, did you mean "x"?` as a hint, or nil when nothing is near.
package func nearestHint(_ name: String, among names: some Sequence<String>) -> String? {
  NearestName.to(String(name.prefix(253)), among: names).map { "did you mean \(quoted($0))?" }
}
