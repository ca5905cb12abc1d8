internal import Core
internal import Inventory
package import Lint
package import Operations

/// Mistakes as `validate`, `plan` and `apply` tell them.
package enum FindingsText {
  /// - Parameter severity: nil for all.
  package static func lines(
    _ findings: [Validation.Finding], only severity: LintSeverity? = nil, _ style: TextStyle
  ) -> String {
    let chosen = findings.filter { severity == nil || $0.lint.severity == severity }
    // An inventory may be full of hosts that are no business of ours: they are one line.
    let uncovered = chosen.filter { $0.lint.rule == .hostWithoutPolicy }
    var text = chosen.filter { $0.lint.rule != .hostWithoutPolicy }.map { Self.text($0, style) }.joined()
    if let first = uncovered.first {
      text += Self.text(Validation.Finding(lint: first.lint, hosts: uncovered.flatMap(\.hosts)), style)
    }
    return text
  }

  private static func text(_ finding: Validation.Finding, _ style: TextStyle) -> String {
    let lint = finding.lint
    let severity = lint.severity.rawValue
    let painted = lint.severity == .error ? Paint.bad.on(severity, style) : severity
    var text = "\(painted): \(SafeText.escape(lint.diagnostic.description)) [\(lint.rule.rawValue)]\n"
    text += "  why: \(lint.why)\n"
    if let hint = lint.diagnostic.hint { text += "  hint: \(SafeText.escape(hint))\n" }
    if !finding.hosts.isEmpty { text += "  hosts: \(Folding.fold(finding.hosts))\n" }
    return text
  }

  /// "1 error, 2 warnings"; empty when there is neither.
  package static func counted(errors: Int, warnings: Int) -> String {
    [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }
      .map { "\($0) \($1)\($0 == 1 ? "" : "s")" }.joined(separator: ", ")
  }
}
