/// A place in a file a person wrote: lines and columns count from 1, columns in bytes.
package struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var column: Int

  package init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  package var description: String { "\(file):\(line):\(column)" }
}

/// One thing wrong with one place in a file.
package struct Diagnostic: Error, Hashable, Sendable, CustomStringConvertible {
  package var location: SourceLocation
  package var message: String
  package var hint: String?

  package init(_ location: SourceLocation, _ message: String, hint: String? = nil) {
    self.location = location
    self.message = message
    self.hint = hint
  }

  package var description: String { "\(location): \(message)" }
}

/// Everything wrong with a set of files, in reading order: people mend several mistakes at once.
package struct Diagnostics: Error, Sendable {
  package let all: [Diagnostic]

  /// Nil when nothing is wrong.
  package init?(_ all: [Diagnostic]) {
    guard !all.isEmpty else { return nil }
    self.all = all
  }

  package init(_ only: Diagnostic) { all = [only] }
}
