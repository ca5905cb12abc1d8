package import Wire

/// What a push of one bundle came to.
package enum DeliveryResult: Hashable, Sendable {
  /// The host durably runs the bundle. `touched` is false when it already did.
  case current(touched: Bool)
  /// Both families are back on what the host ran before.
  case reverted(String)
  /// The host refused the bundle with nothing changed, is not the host we meant, or failed and could not go back.
  case failed(String, Refusal.Code?)
  /// Nothing was asked of the host.
  case unreachable(String)
  /// It was asked to apply, and until the deadline nobody could tell us how that ended.
  case unknown(String)
}
