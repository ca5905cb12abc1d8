package import Core

/// Findings and mistakes as SARIF 2.1.0, which code hosts show beside the lines of a change.
package struct Sarif: Sendable {
  /// What is said of files that cannot be read or compiled at all.
  package static let mistakeID = "invalid-file"

  private var results: [JSONValue] = []
  private var fingerprints: [String: Int] = [:]
  private let folder: String?

  /// - Parameter folder: paths below it are written relative to it; as absolute paths tell nothing to another machine.
  package init(relativeTo folder: String? = nil) {
    self.folder = folder.map { $0.hasSuffix("/") ? $0 : $0 + "/" }
  }

  package mutating func add(_ findings: [LintFinding]) {
    for finding in findings {
      add(
        finding.rule.rawValue, finding.severity, finding.diagnostic, why: finding.why, related: finding.related,
        subject: finding.subject)
    }
  }

  package mutating func add(mistakes: [Diagnostic]) {
    for mistake in mistakes {
      add(Self.mistakeID, .error, mistake, why: nil, related: nil, subject: mistake.message)
    }
  }

  private mutating func add(
    _ rule: String, _ severity: LintSeverity, _ diagnostic: Diagnostic, why: String?, related: SourceLocation?,
    subject: String
  ) {
    let path = relative(diagnostic.location.file)
    let print = Digest(of: "\(rule)\0\(path)\0\(subject)".utf8).hex
    let count = fingerprints[print, default: 0]
    fingerprints[print] = count + 1
    var text = diagnostic.message
    if let why { text += ". " + why }
    if let hint = diagnostic.hint { text += " Hint: " + hint }
    var result: [(String, JSONValue)] = [
      ("ruleId", .string(rule)), ("level", .string(severity.rawValue)),
      ("message", .object([("text", .string(SafeText.escape(text)))])),
      ("locations", .array([place(diagnostic.location)])),
      ("partialFingerprints", .object([("portcullis/v1", .string("\(print):\(count)"))])),
    ]
    if let related { result.append(("relatedLocations", .array([place(related)]))) }
    results.append(.object(result))
  }

  private func relative(_ path: String) -> String {
    if let folder, path.hasPrefix(folder) { return String(path.dropFirst(folder.count)) }
    return path.hasPrefix("./") ? String(path.dropFirst(2)) : path
  }

  private func place(_ location: SourceLocation) -> JSONValue {
    .object([
      (
        "physicalLocation",
        .object([
          ("artifactLocation", .object([("uri", .string(Self.uri(relative(location.file))))])),
          (
            "region",
            .object([
              ("startLine", .integer(max(1, location.line))), ("startColumn", .integer(max(1, location.column))),
            ])
          ),
        ])
      )
    ])
  }

  /// RFC 3986: what is neither unreserved nor a slash is written in hexadecimal.
  private static func uri(_ path: String) -> String {
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)
    return path.utf8.map { byte in
      plain.contains(byte) ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte]).uppercased()
    }.joined()
  }

  /// The whole document, ending in a line feed.
  package var text: String {
    let mistake = Self.rule(
      Self.mistakeID, "a file that cannot be used", "Nothing is sent before it is mended.", "See the message.", .error)
    let rules = LintRule.allCases.map { Self.rule($0.rawValue, $0.title, $0.why, $0.help, $0.severity) }
    let driver = JSONValue.object([
      ("name", .string("portcullis")), ("version", .string(ProductVersion.current)),
      ("rules", .array(rules + [mistake])),
    ])
    let run = JSONValue.object([
      ("tool", .object([("driver", driver)])), ("columnKind", .string("unicodeCodePoints")),
      ("results", .array(results)),
    ])
    return JSONValue.object([
      ("$schema", .string("https://json.schemastore.org/sarif-2.1.0.json")), ("version", .string("2.1.0")),
      ("runs", .array([run])),
    ]).text + "\n"
  }

  private static func rule(
    _ id: String, _ title: String, _ why: String, _ help: String, _ severity: LintSeverity
  ) -> JSONValue {
    .object([
      ("id", .string(id)), ("shortDescription", .object([("text", .string(title))])),
      ("fullDescription", .object([("text", .string(why))])), ("help", .object([("text", .string(help))])),
      ("defaultConfiguration", .object([("level", .string(severity.rawValue))])),
    ])
  }
}
