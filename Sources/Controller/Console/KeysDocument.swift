internal import Core
package import Operations

package struct KeysDocument: Document {
  package static let kind = "Keys"

  package struct LockdownKey: Encodable, Sendable {
    let fingerprint: String
    let publicKey: String
    let adopted: Bool
  }

  let principal: String
  let fingerprint: String
  let publicKey: String
  let allowedSigners: String
  let adopted: Bool
  let lockdownKey: LockdownKey
  let loginKey: String
  let loginKeyMade: Bool

  package init(created: SigningKeys.Created, loginKey: String, loginKeyMade: Bool) {
    principal = created.principal
    fingerprint = created.release.fingerprint
    publicKey = created.release.publicKeyPath
    allowedSigners = created.allowedSignersPath
    adopted = created.release.adopted
    lockdownKey = LockdownKey(
      fingerprint: created.lockdown.fingerprint, publicKey: created.lockdown.publicKeyPath,
      adopted: created.lockdown.adopted)
    self.loginKey = loginKey
    self.loginKeyMade = loginKeyMade
  }

  package var names: [String] { [publicKey] }
  package var records: [any Encodable] { [self] }
  package func text(_ style: TextStyle) -> String {
    """
    signing key   \(SafeText.escape(publicKey)) (\(adopted ? "adopted" : "made")), \(fingerprint)
    lockdown key  \(SafeText.escape(lockdownKey.publicKey)) (\(lockdownKey.adopted ? "adopted" : "made")), \(lockdownKey.fingerprint)
    trusted as    \(SafeText.escape(principal)) in \(SafeText.escape(allowedSigners))
    login key     \(SafeText.escape(loginKey)) (\(loginKeyMade ? "made" : "kept"))

    """
  }
}
