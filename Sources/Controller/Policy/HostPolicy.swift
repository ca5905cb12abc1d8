package import Core
internal import Inventory

/// What the hosts of one group shall let in, out and through, in both families.
package struct HostPolicy: Sendable {
  /// Whose the tables are that the policy declares.
  package enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Our rules live in chains of their own beside other people's, which stay as they are.
    case owned
    /// Every table that the policy declares is wholly ours.
    case exclusive
  }

  package let name: String
  /// The group it is for.
  package let appliesTo: String
  package let description: String?
  /// The value of `applies_to`, for messages.
  package let location: SourceLocation
  package let beside: BesideOthers
  /// `ipv6: drop-all`: nobody reaches the host over it.
  package let closesIPv6: Bool
  let templates: PerFamily<PolicyTemplate>
  /// The first place in `containers:` that names the controllers.
  let containersNameControllers: SourceLocation?

  /// Whether some rule stands for the controllers by that word.
  package var mentionsControllers: Bool { firstControllersRule != nil || containersNameControllers != nil }

  /// Of the rules files: what lets the controllers reach the host itself.
  var firstControllersRule: SourceLocation? {
    templates.ipv4.firstControllersRule ?? templates.ipv6.firstControllersRule
  }
}

/// How a policy lives with rules that are not ours.
package struct BesideOthers: Hashable, Sendable {
  package var mode: HostPolicy.Mode = .owned
  /// `forward: foreign`: what our rules for forwarded packets do not decide is left to Docker's or Kubernetes' own.
  package var forwardsForeign = false
  /// Foreign rules that may stand above our hook, as iptables-save prints them, or `*` for any.
  package var foreignAllowed: [String] = []
}
