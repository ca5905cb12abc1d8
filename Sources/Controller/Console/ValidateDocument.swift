internal import Core
internal import Inventory
package import Lint
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
  /// Names of lockdown profiles.
  let lockdowns: [String]
  let uncovered: [String]
  let findings: [Finding]
  /// What was not loaded into a namespace of this machine, and why.
  let notLoaded: String?

  package init(_ validated: Validation) {
    hosts = validated.hosts
    policies = validated.policies
    lockdowns = validated.profiles
    uncovered = validated.uncovered
    findings = validated.findings.map { Finding(lint: $0.lint, hosts: $0.hosts) }
    notLoaded = validated.notes.isEmpty ? nil : validated.notes.joined(separator: "; ")
  }

  /// Of files that cannot be read or compiled: nothing else is known.
  package init(invalidFiles mistakes: [LintFinding]) {
    (hosts, policies, lockdowns, uncovered) = ([], [], [], [])
    findings = mistakes.map { Finding(lint: $0, hosts: []) }
    notLoaded = "the files cannot be compiled"
  }

  /// - Parameter file: what mistakes that have no place of their own are said of.
  package static func mistakes(of error: any Error, in file: String) -> [LintFinding] {
    ErrorChain(error).parts.map { part in
      LintFinding(
        invalidFile: part.diagnostic
          ?? Diagnostic(
            SourceLocation(file: file, line: 1, column: 1), part.text,
            hint: part.hints.isEmpty ? nil : part.hints.joined(separator: "; ")))
    }
  }

  package var names: [String] { hosts }
  package var records: [any Encodable] { findings }
  package var summary: [String: Int] {
    [
      "hosts": hosts.count, "policies": policies.count, "uncovered": uncovered.count,
      "errors": findings.count { $0.lint.severity == .error },
      "warnings": findings.count { $0.lint.severity == .warning },
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = FindingsText.lines(findings.map { Validation.Finding(lint: $0.lint, hosts: $0.hosts) }, style)
    let counted = FindingsText.counted(errors: summary["errors", default: 0], warnings: summary["warnings", default: 0])
    text += "\(hosts.count) \(hosts.count == 1 ? "host" : "hosts"), "
    text += "\(policies.count) \(policies.count == 1 ? "policy" : "policies") (\(Folding.fold(policies)))"
    if !lockdowns.isEmpty {
      let word = lockdowns.count == 1 ? "lockdown profile" : "lockdown profiles"
      text += ", \(lockdowns.count) \(word) (\(Folding.fold(lockdowns)))"
    }
    text += ": "
    text += summary["errors", default: 0] > 0 ? "not valid" : "valid"
    return text + (counted.isEmpty ? "" : ", " + counted) + "\n"
  }
}
