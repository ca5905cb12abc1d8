package import Core

/// What the signers of one release allow a host to do once, beyond keeping to its mode. Not part of what the host is to
/// run: a release without the grant leaves it current.
package enum Grant: Hashable, Sendable {
  /// Apply although the knock says that the management path would be shut.
  case overrideLockout
  /// Owned mode: foreign accepts above our hook may be moved below it.
  case takeOver
  /// Exclusive mode: the chains of this owner may be wiped.
  case evict(ForeignOwner)
  /// What else filters packets on the host once it has committed is how its owners want it.
  case acceptOthers

  /// As a manifest says it.
  package var text: String {
    switch self {
    case .overrideLockout: "override-lockout"
    case .takeOver: "take-over"
    case .evict(let owner): "evict:\(owner.rawValue)"
    case .acceptOthers: "accept-others"
    }
  }

  package init?(_ text: String) {
    let all: [Grant] = [.overrideLockout, .takeOver, .acceptOthers] + ForeignOwner.allCases.map(Grant.evict)
    guard let grant = all.first(where: { $0.text == text }) else { return nil }
    self = grant
  }
}
