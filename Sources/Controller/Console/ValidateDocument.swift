internal import Core
internal import Inventory
internal import Lint
package import Operations

package struct ValidateDocument: Document {
  package static let kind = "Validate"

  package struct Finding: Encodable, Sendable {
    let lint: LintFinding
    /// None for what is wrong whoever runs it.
    let hosts: [String]
  }

  let hosts: [String]
  let policies: [String]
  let uncovered: [String]
  /// Of the inventory.
  let warnings: [String]
  let findings: [Finding]
  /// Whether the rules were loaded into a namespace of this machine; why not, otherwise.
  let notLoaded: String?

  package init(_ validated: Validation, notLoaded: String? = nil) {
    hosts = validated.hosts
    policies = validated.policies
    uncovered = validated.uncovered
    warnings = validated.warnings.map { SafeText.escape($0.description) }
    findings = validated.findings.map { Finding(lint: $0.lint, hosts: $0.hosts) }
    self.notLoaded = notLoaded
  }

  package var names: [String] { hosts }
  package var records: [any Encodable] { findings }
  package var summary: [String: Int] {
    [
      "hosts": hosts.count, "policies": policies.count, "uncovered": uncovered.count,
      "errors": findings.count { $0.lint.severity == .error },
      "warnings": warnings.count + findings.count { $0.lint.severity == .warning },
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = findings.map { Self.text($0, style) }.joined()
    let errors = findings.count { $0.lint.severity == .error }
    let warnings = findings.count - errors
    let counted = [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }.map {
      "\($0) \($1)\($0 == 1 ? "" : "s")"
    }
    let verdict = errors > 0 ? "not valid" : "valid"
    text += "\(hosts.count) hosts, \(policies.count) policies (\(policies.joined(separator: ", "))): \(verdict)"
    text += (counted.isEmpty ? "" : ", " + counted.joined(separator: ", ")) + "\n"
    if !uncovered.isEmpty { text += "no policy applies to \(Folding.fold(uncovered))\n" }
    return text
  }

  static func text(_ finding: Finding, _ style: TextStyle) -> String {
    let lint = finding.lint
    let severity = lint.severity.rawValue
    let painted = lint.severity == .error ? Paint.bad.on(severity, style) : severity
    var text = "\(painted): \(SafeText.escape(lint.diagnostic.description)) [\(lint.rule.rawValue)]\n"
    text += "  why: \(lint.why)\n"
    if let hint = lint.diagnostic.hint { text += "  hint: \(SafeText.escape(hint))\n" }
    if !finding.hosts.isEmpty { text += "  hosts: \(Folding.fold(finding.hosts))\n" }
    return text
  }
}

/// What `plan` says first: mistakes, without a verdict of its own.
package enum FindingsText {
  package static func lines(_ validated: Validation) -> String {
    validated.findings.map { ValidateDocument.text(.init(lint: $0.lint, hosts: $0.hosts), TextStyle()) }.joined()
  }
}
