internal import Core

/// What a verb did that has no state to show: made, removed, rebooted.
package struct ActionDocument: Document {
  package static let kind = "Action"

  /// "lab up", "init" …
  let action: String
  /// What it was done to: a folder, a host.
  let subject: String
  /// False: there was nothing to do.
  let done: Bool
  let seconds: Double?
  let files: [String]
  /// The same, for people.
  private let sentence: String

  private enum CodingKeys: CodingKey {
    case action, subject, done, seconds, files
  }

  package init(
    _ action: String, _ subject: String, done: Bool = true, seconds: Double? = nil, files: [String] = [],
    sentence: String
  ) {
    self.action = action
    self.subject = subject
    self.done = done
    self.seconds = seconds
    self.files = files
    self.sentence = sentence
  }

  package var names: [String] { files.isEmpty ? [subject] : files }
  package var records: [any Encodable] { [self] }
  package func text(_ style: TextStyle) -> String {
    files.map { "made \(SafeText.escape($0))\n" }.joined() + (sentence.isEmpty ? "" : SafeText.escape(sentence) + "\n")
  }
}
