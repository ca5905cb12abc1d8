internal import Core

/// Why a text of a release, or a value for one, is not what the format allows.
package struct FormatProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of text: `release.statement`, `manifest`, `proof`.
  package let file: String
  /// Counted from 1; nil when the fault is not that of one line.
  package let line: Int?
  /// Safe for a terminal.
  package let reason: String

  package init(_ file: String, line: Int? = nil, _ reason: String) {
    self.file = file
    self.line = line
    self.reason = SafeText.escape(reason)
  }

  package var description: String { line.map { "\(file):\($0): \(reason)" } ?? "\(file): \(reason)" }
}
