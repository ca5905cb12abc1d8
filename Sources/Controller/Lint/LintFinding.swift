package import Core

/// One mistake at one place. The same mistake of several hosts is the same finding.
package struct LintFinding: Hashable, Sendable {
  package let rule: LintRule
  package let severity: LintSeverity
  package let diagnostic: Diagnostic
  /// The other place that the message names.
  package let related: SourceLocation?
  /// What it is about, without places: the same when lines move.
  package let subject: String

  package init(
    _ rule: LintRule, severity: LintSeverity? = nil, at location: SourceLocation, _ message: String,
    hint: String? = nil, related: SourceLocation? = nil, subject: String
  ) {
    self.rule = rule
    self.severity = severity ?? rule.severity
    self.diagnostic = Diagnostic(location, message, hint: hint)
    self.related = related
    self.subject = subject
  }

  package var why: String { rule.why }

  /// A file that cannot be read or compiled.
  package init(invalidFile mistake: Diagnostic) {
    self.init(
      .invalidFile, at: mistake.location, mistake.message, hint: mistake.hint, subject: mistake.message)
  }

  /// The same as an error, for those who want no warnings. What the machine of the controller lacks is nobody's mistake.
  package var strict: LintFinding {
    guard rule != .notTriedHere else { return self }
    return LintFinding(
      rule, severity: .error, at: diagnostic.location, diagnostic.message, hint: diagnostic.hint, related: related,
      subject: subject)
  }
}

extension LintFinding: Comparable {
  /// In reading order.
  package static func < (a: LintFinding, b: LintFinding) -> Bool {
    func key(_ finding: LintFinding) -> (String, Int, Int, String, String) {
      let place = finding.diagnostic.location
      return (place.file, place.line, place.column, finding.rule.rawValue, finding.diagnostic.message)
    }
    return key(a) < key(b)
  }
}

extension LintFinding: Encodable {
  private enum CodingKeys: String, CodingKey {
    case rule, severity, file, line, column, message, hint, why, related
  }

  private struct Place: Encodable {
    let file: String
    let line: Int
    let column: Int

    init(_ location: SourceLocation) {
      file = SafeText.escape(location.file)
      line = location.line
      column = location.column
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    let place = Place(diagnostic.location)
    try container.encode(rule.rawValue, forKey: .rule)
    try container.encode(severity.rawValue, forKey: .severity)
    try container.encode(place.file, forKey: .file)
    try container.encode(place.line, forKey: .line)
    try container.encode(place.column, forKey: .column)
    try container.encode(SafeText.escape(diagnostic.message), forKey: .message)
    try container.encode(diagnostic.hint.map { SafeText.escape($0) }, forKey: .hint)
    try container.encode(why, forKey: .why)
    try container.encode(related.map(Place.init), forKey: .related)
  }
}
