internal import Core
internal import Glibc
internal import Release

/// The owner's signing key and the file that makes hosts trust it. Everything secret is done by OpenSSH's ssh-keygen,
/// so passphrases, ssh-agent and FIDO tokens just work.
package struct SigningKeys: Sendable {
  package let allowedSignersPath: String
  /// A private key, or a public one whose private half an ssh-agent or a token holds.
  package let signingKeyPath: String

  package init(allowedSignersPath: String, signingKeyPath: String) {
    self.allowedSignersPath = allowedSignersPath
    self.signingKeyPath = signingKeyPath
  }

  package struct Created: Sendable {
    package let principal: String
    package let fingerprint: String
    package let publicKeyPath: String
    package let allowedSignersPath: String
    package let adopted: Bool
  }

  /// Creates an ed25519 key pair, or adopts a public key somebody has already, and writes allowed_signers. Existing
  /// files are never overwritten.
  package func initialize(
    principal: String, adopting publicKey: String?, passphrase: Passphrase
  ) async throws -> Created {
    guard !Files.exists(allowedSignersPath) else {
      throw Failure(
        "create signing key", because: Reason("\(allowedSignersPath) exists"),
        hint: "hosts trust the keys in it; add a line there, or move it away to start anew", kind: .refused)
    }
    let publicKeyPath: String
    if let publicKey {
      publicKeyPath = publicKey
    } else {
      guard !Files.exists(signingKeyPath) else {
        throw Failure(
          "create signing key", because: Reason("\(signingKeyPath) exists"),
          hint: "adopt it with --public-key \(signingKeyPath).pub", kind: .refused)
      }
      try Files.makeDirectory(directory(of: signingKeyPath), mode: 0o700)
      var arguments = ["-q", "-t", "ed25519", "-C", principal, "-f", signingKeyPath]
      if case .none = passphrase { arguments += ["-N", ""] }
      _ = try await Program.sshKeygen.succeed(arguments, doing: "create signing key \(signingKeyPath)")
      publicKeyPath = signingKeyPath + ".pub"
    }
    let key = try PublicKeyFile.parse(try Files.read(publicKeyPath, atMost: 16 << 10), file: publicKeyPath)
    let signer = try AllowedSigner(
      principal: principal, namespaces: [SigningNamespace.release.rawValue], key: key.key, comment: key.comment)
    try Files.makeDirectory(directory(of: allowedSignersPath))
    try Files.write(Array(signer.line.utf8), to: allowedSignersPath)
    if publicKey != nil, publicKeyPath != signingKeyPath + ".pub" {
      // The public half is all that signing by an agent or a token needs to find.
      try Files.makeDirectory(directory(of: signingKeyPath), mode: 0o700)
      try Files.write(Array("\(key.key.text)\n".utf8), to: signingKeyPath + ".pub")
    }
    return Created(
      principal: principal, fingerprint: key.key.fingerprint, publicKeyPath: publicKeyPath,
      allowedSignersPath: allowedSignersPath, adopted: publicKey != nil)
  }

  package enum Passphrase: Sendable {
    /// ssh-keygen asks at the terminal.
    case asked
    case none
  }

  /// A detached SSHSIG over the statement. May wait for a passphrase or a touch.
  package func sign(statement: [UInt8]) async throws -> [UInt8] {
    // Without a private half the public one names a key that an ssh-agent or a token holds.
    let key = Files.exists(signingKeyPath) ? signingKeyPath : signingKeyPath + ".pub"
    guard Files.exists(key) else {
      throw Failure(
        "sign release", because: Reason("there is no key \(signingKeyPath)"),
        hint: "create or adopt one with 'portcullis keys init', or set keys.signing_key in portcullis.yaml")
    }
    return try await Program.sshKeygen.succeed(
      ["-Y", "sign", "-q", "-n", SigningNamespace.release.rawValue, "-f", key], input: statement,
      doing: "sign release with \(key)")
  }
}

package func directory(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
