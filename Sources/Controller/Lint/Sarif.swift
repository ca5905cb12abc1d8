internal import Core

/// Findings and mistakes as SARIF 2.1.0, which code hosts show beside the lines of a change.
package struct Sarif: Sendable {
  private var results: [JSONValue] = []
  private var fingerprints: [String: Int] = [:]
  private let folder: String?

  /// - Parameter folder: paths below it are written relative to it; as absolute paths tell nothing to another machine.
  package init(relativeTo folder: String? = nil) {
    self.folder = folder.map { $0.hasSuffix("/") ? $0 : $0 + "/" }
  }

  package mutating func add(_ findings: [LintFinding]) {
    for finding in findings { add(finding) }
  }

  private mutating func add(_ finding: LintFinding) {
    let diagnostic = finding.diagnostic
    let path = relative(diagnostic.location.file)
    let print = Digest(of: "\(finding.rule.rawValue)\0\(path)\0\(finding.subject)".utf8).hex
    let count = fingerprints[print, default: 0]
    fingerprints[print] = count + 1
    var text = diagnostic.message + ". " + finding.why
    if let hint = diagnostic.hint { text += " Hint: " + hint }
    var result: [(String, JSONValue)] = [
      ("ruleId", .string(finding.rule.rawValue)), ("level", .string(finding.severity.rawValue)),
      ("message", .object([("text", .string(SafeText.escape(text)))])),
      ("locations", .array([place(diagnostic.location)])),
      ("partialFingerprints", .object([("portcullis/v1", .string("\(print):\(count)"))])),
    ]
    if let related = finding.related { result.append(("relatedLocations", .array([place(related)]))) }
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
    let rules = LintRule.allCases.map(Self.rule)
    let driver = JSONValue.object([
      ("name", .string("portcullis")), ("version", .string(ProductVersion.current)),
      ("rules", .array(rules)),
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

  private static func rule(_ rule: LintRule) -> JSONValue {
    .object([
      ("id", .string(rule.rawValue)), ("shortDescription", .object([("text", .string(rule.title))])),
      ("fullDescription", .object([("text", .string(rule.why))])),
      ("help", .object([("text", .string(rule.help))])),
      ("defaultConfiguration", .object([("level", .string(rule.severity.rawValue))])),
    ])
  }
}
