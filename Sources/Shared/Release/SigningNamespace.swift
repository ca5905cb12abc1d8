/// What a signature is for. SSHSIG signs the namespace along with the message, so a signature made for one purpose is
/// worthless for another; `allowed_signers` says which key may sign in which.
package enum SigningNamespace: String, Hashable, Sendable, CaseIterable {
  case release = "release@portcullis"
  case lockdown = "lockdown@portcullis"
  case unlock = "unlock@portcullis"
  case root = "root@portcullis"
  case report = "report@portcullis"
}
