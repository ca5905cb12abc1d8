internal import Core
package import Operations

package struct KeysDocument: Document {
  package static let kind = "Keys"

  let principal: String
  let fingerprint: String
  let publicKey: String
  let allowedSigners: String
  let adopted: Bool
  let loginKey: String
  let loginKeyMade: Bool

  package init(created: SigningKeys.Created, loginKey: String, loginKeyMade: Bool) {
    principal = created.principal
    fingerprint = created.fingerprint
    publicKey = created.publicKeyPath
    allowedSigners = created.allowedSignersPath
    adopted = created.adopted
    self.loginKey = loginKey
    self.loginKeyMade = loginKeyMade
  }

  package var names: [String] { [publicKey] }
  package var records: [any Encodable] { [self] }
  package func text(_ style: TextStyle) -> String {
    """
    signing key  \(SafeText.escape(publicKey)) (\(adopted ? "adopted" : "made")), \(fingerprint)
    trusted as   \(SafeText.escape(principal)) in \(SafeText.escape(allowedSigners))
    login key    \(SafeText.escape(loginKey)) (\(loginKeyMade ? "made" : "kept"))

    """
  }
}
