internal import Core

/// Why a text that stands beside the rules in a bundle, or a value for one, is not what its format allows.
package struct StrictTextProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// `sets`, `sysctl`
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

  package var description: String { line.map { "\(file) line \($0): \(reason)" } ?? "\(file): \(reason)" }
}

extension [UInt8] {
  /// Its lines, which must all be printable ASCII and end with a line feed; within `limit` bytes.
  func strictLines(of file: String, atMost limit: Int) throws(StrictTextProblem) -> [ArraySlice<UInt8>] {
    guard count <= limit else { throw StrictTextProblem(file, "\(count) bytes, more than the \(limit) allowed") }
    guard last == newline else { throw StrictTextProblem(file, "it does not end with a line feed") }
    let lines = dropLast().split(separator: newline, omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where !line.allSatisfy({ (0x20...0x7e).contains($0) }) {
      throw StrictTextProblem(file, line: index + 1, "it holds bytes that are not printable ASCII")
    }
    return lines
  }
}
