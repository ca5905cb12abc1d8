internal import Core
package import Ruleset

package struct RulesetDocument: Document {
  package static let kind = "RulesetCanonical"

  package struct Canonical: Encodable, Sendable {
    let file: String
    let text: String

    package init(file: String, text: [UInt8]) {
      self.file = file
      self.text = String(decoding: text, as: UTF8.self)
    }
  }

  let files: [Canonical]

  package init(canonical: [Canonical]) { files = canonical }

  package var names: [String] { files.map(\.file) }
  package var records: [any Encodable] { files }

  /// Rules may hold bytes that a terminal obeys: they are escaped line by line, and stay what they are in JSON.
  package func text(_ style: TextStyle) -> String {
    files.map { file in
      file.text.split(separator: "\n", omittingEmptySubsequences: false).map { SafeText.escape($0) }
        .joined(separator: "\n")
    }.joined()
  }
}

package struct DigestDocument: Document {
  package static let kind = "RulesetDigest"

  package struct File: Encodable, Sendable {
    let file: String
    let digest: String

    package init(file: String, digest: String) {
      self.file = file
      self.digest = digest
    }
  }

  let files: [File]

  package init(files: [File]) { self.files = files }

  package var names: [String] { files.map(\.digest) }
  package var records: [any Encodable] { files }
  package func text(_ style: TextStyle) -> String {
    files.map { "\($0.digest)  \(SafeText.escape($0.file))\n" }.joined()
  }
}

package struct DiffDocument: Document {
  package static let kind = "RulesetDiff"

  let from: String
  let to: String
  let added: Int
  let removed: Int
  let lines: [String]

  package init(from: String, to: String, diff: RulesetDiff) {
    self.from = from
    self.to = to
    added = diff.added
    removed = diff.removed
    lines = diff.lines.map(\.marked)
  }

  package var names: [String] { [from, to] }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] { ["added": added, "removed": removed] }
  package func text(_ style: TextStyle) -> String {
    guard !lines.isEmpty else { return "" }
    return "--- \(SafeText.escape(from))\n+++ \(SafeText.escape(to))\n" + DiffText.lines(lines, style)
  }
}

/// A diff's lines, already safe to print.
enum DiffText {
  /// What one group of hosts may fill a screen with; the whole stands in `-o json`, and in `ruleset diff`.
  static let groupLimit = 400

  /// As `lines`, but cut for a screen.
  static func cut(_ all: [String], _ style: TextStyle, indent: String) -> String {
    guard all.count > groupLimit else { return lines(all, style, indent: indent) }
    return lines(Array(all.prefix(groupLimit)), style, indent: indent)
      + "\(indent)… \(all.count - groupLimit) more lines; -o json has them …\n"
  }

  /// `file:line`
  static func places(_ sources: [SourceLocation?]) -> [String?] {
    sources.map { $0.map { "\($0.file):\($0.line)" } }
  }

  /// With the place that each comes from, where it is known.
  static func lines(_ lines: [String], from places: [String?]) -> [String] {
    lines.enumerated().map { index, line in
      let place = places.indices.contains(index) ? places[index] : nil
      return place.map { "\(line)   # \(SafeText.escape($0))" } ?? line
    }
  }

  static func lines(_ lines: [String], _ style: TextStyle, indent: String = "") -> String {
    lines.map { line in
      let painted =
        switch line.first {
        case "+": Paint.added.on(line, style)
        case "-": Paint.removed.on(line, style)
        default: line
        }
      return indent + painted + "\n"
    }.joined()
  }
}
