package import Wire

/// What a push of one bundle came to.
package enum DeliveryResult: Hashable, Sendable {
  /// The host durably runs the bundle. `touched` is false when it already did. Warnings are safe to show.
  case current(touched: Bool, warnings: [String] = [])
  /// The new rules are loaded, and a person is to confirm them before the host goes back by itself.
  case awaiting(AppliedChange)
  /// Both families are back on what the host ran before.
  case reverted(String)
  /// The host refused the bundle with nothing changed, is not the host we meant, or failed and could not go back.
  case failed(String, Refusal.Code?)
  /// It had committed something else than the plan was made against, and got nothing.
  case stale(String)
  /// Nothing was asked of the host.
  case unreachable(String)
  /// It was asked to apply, and until the deadline nobody could tell us how that ended.
  case unknown(String)

  /// The host changed nothing because that would have been dangerous: it takes a person's word to go on.
  package var isRefusedByGuard: Bool {
    switch self {
    case .failed(_, .lockout?), .failed(_, .foreignAccept?), .failed(_, .foreignChains?), .stale: true
    case .failed, .current, .awaiting, .reverted, .unreachable, .unknown: false
    }
  }
}
