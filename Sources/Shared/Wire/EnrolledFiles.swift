package import Core

/// What an enrolment put on a host, the agent itself among it, kept there so that the agent can tell when somebody changed
/// it: `sha256:… PATH`, a line for each.
package struct EnrolledFiles: Hashable, Sendable {
  package struct File: Hashable, Sendable {
    /// Below the host's root, without `/` at its beginning.
    package let path: String
    package let digest: Digest

    package init(_ path: String, _ digest: Digest) {
      self.path = path
      self.digest = digest
    }
  }

  /// In the agent's state.
  package static let fileName = "enrolled"
  /// Beside it, empty: made by an enrolment and taken away by the agent's next look. What is as enrolled again by then is
  /// the enrolment's doing.
  package static let unseenFileName = "enrolled-unseen"
  /// What every enrolment puts on a host.
  package static let agentPath = "usr/local/lib/portcullis/portcullis-agent"
  /// As root types it: it is on nobody's search path.
  package static let agentCommand = "/" + agentPath
  /// In bytes.
  package static let maximumSize = 16 << 10
  /// Of every service; more are told as they are.
  package static let maximumDropIns = 32

  package let files: [File]

  package init(_ files: [File]) { self.files = files }

  /// Drop-ins of every service that came or changed since an earlier enrolment: from now on they are taken for what is to
  /// be there.
  package func newDropIns(since earlier: EnrolledFiles?) -> [String] {
    let known = Set(earlier?.files ?? [])
    return files.filter { UnitDirectories.isOfEveryService($0.path) && !known.contains($0) }.map(\.path)
  }

  package init(_ contents: [(path: String, content: [UInt8])]) {
    self.init(contents.map { File($0.path, Digest(of: $0.content)) })
  }

  /// Nil for what `encode` did not write: then nothing is known of these files.
  package init?(parsing bytes: [UInt8]) {
    var files: [File] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      guard words.count == 2, let digest = Digest(String(words[0])) else { return nil }
      files.append(File(String(words[1]), digest))
    }
    self.files = files
  }

  package func encode() -> [UInt8] { files.flatMap { Array("\($0.digest) \($0.path)\n".utf8) } }
}
