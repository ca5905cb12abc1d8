package import Core
internal import Inventory
package import Operations
internal import Release

/// What somebody is to answer for before an order goes out: who, by which words, for how long, and why.
package struct OrderEffect: Sendable {
  private static let hostsWidth = 60
  private static let scopeWidth = 200

  package let hosts: [HostID]
  /// Nil for a lift.
  private let profile: ProfileName?
  private let liftsAfter: UInt32?
  private let scope: String
  private let reason: String?

  /// Of an order that is made now.
  package init(_ draft: OrderDraft) {
    hosts = draft.hosts
    scope = draft.scope.words
    reason = draft.reason
    switch draft.content {
    case .lockdown(let profile, let liftsAfter): (self.profile, self.liftsAfter) = (profile, liftsAfter)
    case .drill(let profile): (self.profile, liftsAfter) = (profile, nil)
    case .unlock: (profile, liftsAfter) = (nil, nil)
    }
  }

  /// Of one that was made before.
  package init(_ order: SealedOrder, hosts: [HostID]) {
    self.hosts = hosts
    profile = order.profile
    liftsAfter = order.liftsAfter
    scope = order.terms.scope.words
    reason = order.reason == "-" ? nil : order.reason
  }

  /// Ends in a line feed.
  package var text: String {
    var lines = [sentence, "  hosts   \(Folding.fold(hosts.map(\.description), atMost: Self.hostsWidth))"]
    let words = SafeText.escape(scope)
    lines.append("  scope   \(words.count > Self.scopeWidth ? words.prefix(Self.scopeWidth - 1) + "…" : words)")
    if let reason { lines.append("  reason  \(SafeText.escape(reason))") }
    return lines.map { $0 + "\n" }.joined()
  }

  private var sentence: String {
    let counted = hosts.count == 1 ? "1 host" : "\(hosts.count) hosts"
    guard let profile else {
      return
        "\(counted) \(hosts.count == 1 ? "goes" : "go") on with what \(hosts.count == 1 ? "it" : "they") committed."
    }
    let end = liftsAfter.map { "each opens by itself after \(Age.text(Int64($0)))" } ?? "until somebody lifts it"
    return "\(profile) on \(counted), \(end): nothing but what it keeps answers."
  }
}
