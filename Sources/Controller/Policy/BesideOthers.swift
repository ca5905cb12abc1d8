internal import Core

/// How a policy lives with rules that are not ours.
package struct BesideOthers: Hashable, Sendable {
  /// Whose the tables are that the policy declares.
  package enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Our rules live in chains of their own beside other people's, which stay as they are.
    case owned
    /// Every table that the policy declares is wholly ours.
    case exclusive
  }

  package var mode: Mode = .owned
  /// `forward: foreign`: what our rules for forwarded packets do not decide is left to Docker's or Kubernetes' own.
  package var forwardsForeign = false
  /// `foreign: deny`: what others have is drift when it is new or changed, known software too.
  package var deniesForeign = false
  /// Foreign rules that may stand above our hook, as iptables-save prints them, or `*` for any.
  package var foreignAllowed: [String] = []

  /// What one policy says of it; several are joined.
  struct Statement: Sendable {
    var mode: Located<Mode>?
    var forwardsForeign: SourceLocation?
    var foreignAllowed: [String] = []
    var deniesForeign: SourceLocation?
    /// Of a key that has no meaning in exclusive mode.
    var ownedOnly: Located<String>?
  }

  static func exclusion(_ key: Located<String>) -> Diagnostic {
    Diagnostic(
      key.location, "\(key.value) and mode: exclusive exclude each other",
      hint: "in exclusive mode there are no rules but the policy's; remove mode: exclusive, or \(key.value)")
  }
}
