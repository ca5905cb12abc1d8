internal import Core
internal import Ruleset

/// What makes two differences the same.
enum DriftKey {
  /// Equal for the same lines, added to and removed from the same chains, whatever stands around them.
  static func lines(_ diffs: PerFamily<RulesetDiff>) -> Digest { digest(diffs) { _, _ in } }

  /// Equal only where the lines are in the same places too: a rule that moved up lets other packets through. A host's
  /// other programs, after an upgrade, may word the same rule otherwise.
  static func places(_ diffs: PerFamily<RulesetDiff>) -> Digest {
    digest(diffs, text: \.inPlainWords) { line, out in
      guard BesideTable(rawValue: line.table) == nil else { return }
      out.uint64(line.position.map { UInt64($0.index) + 1 } ?? 0)
    }
  }

  private static func digest(
    _ diffs: PerFamily<RulesetDiff>, text: (DiffLine) -> String = \.text, _ more: (DiffLine, inout ByteWriter) -> Void
  ) -> Digest {
    var out = ByteWriter()
    for family in Family.allCases {
      out.text(family.rawValue)
      for line in diffs[family].lines where line.isChange {
        out.text(line.kind.rawValue)
        out.text(line.table)
        out.text(line.chain ?? "")
        out.text(text(line))
        more(line, &out)
      }
    }
    return Digest(of: out.bytes)
  }
}

extension DiffLine {
  fileprivate var inPlainWords: String {
    guard position != nil, BesideTable(rawValue: table) == nil else { return text }
    return String(decoding: Rule(text: Array(text.utf8)).inPlainWords.bytes, as: UTF8.self)
  }
}
