package import Core

/// What a host says of a set of ours that is not as it should be, beside the members that are too many: all that it holds,
/// by digest. Members that are missing stand in no text of what is there, and every further loss is another difference.
package enum HeldRemark {
  package static func text(_ held: Digest) -> String { "# holds \(held)" }

  /// - Parameter words: without the mark of a remark.
  package static func isOne(_ words: String) -> Bool { words.hasPrefix("holds sha256:") }
}
