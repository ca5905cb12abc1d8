/// The two orders a fleet obeys besides releases. Each has its own words and its own namespace, so that the text of one
/// never passes for the other.
package enum OrderKind: String, Hashable, Sendable, CaseIterable {
  case lockdown
  case unlock

  /// Of an order's text, in bytes.
  package static let maximumSize = 4 << 10

  package var namespace: SigningNamespace {
    switch self {
    case .lockdown: .lockdown
    case .unlock: .unlock
    }
  }

  /// What the text is called in messages, and where it stands as a file.
  package var textName: String { "\(rawValue).order" }

  var header: String { "portcullis-\(rawValue)" }
}
