internal import Core
internal import Import
internal import Inventory
package import Operations

/// A policy made of what was added by hand. As text it is the policy's file, with the rest as its comments.
package struct AdoptDocument: Document {
  package static let kind = "Adopt"

  package struct Removed: Encodable, Sendable {
    let line: String
    /// The file and line of the policy that says it.
    @ExplicitNull var source: String?
  }

  let hosts: [String]
  let policy: String
  @ExplicitNull var appliesTo: String?
  /// Where it was written; null when it was only shown, and when there was nothing to write.
  @ExplicitNull var file: String?
  @ExplicitNull var yaml: String?
  let typedRules: Int
  let rawRules: Int
  let removed: [Removed]
  let leftOut: [String]
  let unreachable: [String]

  package init(_ adopted: Adopting.Adopted, file: String?) {
    hosts = adopted.hosts.map(\.description)
    policy = adopted.name
    appliesTo = adopted.appliesTo
    self.file = file
    yaml = adopted.policy?.yaml
    typedRules = adopted.policy?.typedRules ?? 0
    rawRules = adopted.policy?.rawRules ?? 0
    removed = adopted.removed.map { Removed(line: $0.line, source: $0.source.map { "\($0.file):\($0.line)" }) }
    leftOut = adopted.leftOut
    unreachable = adopted.unreachable.map(\.description)
  }

  package var exitCode: Int32 { unreachable.isEmpty ? 0 : 4 }

  package var names: [String] { file.map { [$0] } ?? [] }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] {
    ["typed": typedRules, "raw": rawRules, "removed": removed.count, "left_out": leftOut.count]
  }

  package func text(_ style: TextStyle) -> String {
    let mark = file == nil ? "# " : ""
    var notes: [String] = []
    if hosts.isEmpty { notes.append("nothing differs that could be adopted") }
    if let file {
      let rules = typedRules == 1 ? "1 rule" : "\(typedRules) rules"
      notes.append("made \(SafeText.escape(file)): \(rules) typed, \(rawRules) raw")
      notes.append("it stands for nothing until 'portcullis plan' was looked at, and 'portcullis apply' was run")
    }
    if typedRules + rawRules > 0 {
      notes.append(
        "its rules stand where its order puts it among the policies (50, unless it says `order:`), which may be another "
          + "place of the chain than where they were found")
    }
    for line in removed {
      let place =
        line.source.map { "said at \(SafeText.escape($0)): delete it there" } ?? "where it is said is not known"
      notes.append("gone: \(line.line)   \(place)")
    }
    notes += leftOut.map { "left out: \($0)" }
    if !unreachable.isEmpty { notes.append("unreachable: \(Folding.fold(unreachable))") }
    return notes.map { mark + $0 + "\n" }.joined() + (file == nil ? yaml ?? "" : "")
  }
}
