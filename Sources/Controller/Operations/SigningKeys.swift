internal import Core
internal import Glibc
package import Release

/// The owner's signing keys and the file that makes hosts trust them. Everything secret is done by OpenSSH's ssh-keygen,
/// so passphrases, ssh-agent and FIDO tokens just work.
package struct SigningKeys: Sendable {
  package let allowedSignersPath: String
  /// A private key, or a public one whose private half an ssh-agent or a token holds; as are the others.
  package let signingKeyPath: String
  /// Can only tighten: hosts take nothing from it but lockdown orders.
  package let lockdownKeyPath: String
  package let unlockKeyPath: String
  /// How many people must sign each kind of order, on every host enrolled from now on.
  package let thresholds: Thresholds

  /// - Parameter lockdownKeyPath: nil: beside the signing key.
  /// - Parameter unlockKeyPath: nil: the signing key. Whoever releases rules may open hosts.
  package init(
    allowedSignersPath: String, signingKeyPath: String, lockdownKeyPath: String? = nil, unlockKeyPath: String? = nil,
    thresholds: Thresholds = .one
  ) {
    self.allowedSignersPath = allowedSignersPath
    self.signingKeyPath = signingKeyPath
    self.lockdownKeyPath = lockdownKeyPath ?? directory(of: signingKeyPath) + "/lockdown"
    self.unlockKeyPath = unlockKeyPath ?? signingKeyPath
    self.thresholds = thresholds
  }

  package func path(for kind: OrderKind) -> String {
    switch kind {
    case .lockdown: lockdownKeyPath
    case .unlock: unlockKeyPath
    }
  }

  package struct Created: Sendable {
    package struct Key: Sendable {
      package let fingerprint: String
      package let publicKeyPath: String
      package let adopted: Bool
    }

    package let principal: String
    package let release: Key
    package let lockdown: Key
    package let allowedSignersPath: String
  }

  /// Creates ed25519 key pairs, or adopts public keys somebody has already, and writes allowed_signers. Existing files are
  /// never overwritten.
  package func initialize(
    principal: String, adopting publicKey: String?, forLockdown lockdownPublicKey: String? = nil, passphrase: Passphrase
  ) async throws -> Created {
    guard !Files.exists(allowedSignersPath) else {
      throw Failure(
        "create signing keys", because: Reason("\(allowedSignersPath) exists"),
        hint: "hosts trust the keys in it; add a line there, or move it away to start anew", kind: .refused)
    }
    let release = KeyPair(path: signingKeyPath, purpose: "signing", option: "--public-key", adopted: publicKey)
    let lockdown = KeyPair(
      path: lockdownKeyPath, purpose: "lockdown", option: "--lockdown-public-key", adopted: lockdownPublicKey)
    // Nothing is made where one of them cannot be.
    for pair in [release, lockdown] { try pair.checkFree() }
    for pair in [release, lockdown] { try await pair.make(principal, passphrase) }
    let keys = try (release: release.publicHalf(), lockdown: lockdown.publicHalf())
    guard keys.release.key != keys.lockdown.key else {
      throw Failure(
        "trust the signing keys", because: Reason("the lockdown key is the signing key"),
        hint: "a lockdown key must be able to do nothing else: take another one", kind: .refused)
    }
    let signers = [
      try AllowedSigner(
        principal: principal, namespaces: [SigningNamespace.release, .unlock].map(\.rawValue), key: keys.release.key,
        comment: keys.release.comment),
      try AllowedSigner(
        principal: principal, namespaces: [SigningNamespace.lockdown.rawValue], key: keys.lockdown.key,
        comment: keys.lockdown.comment),
    ]
    try Files.makeDirectory(directory(of: allowedSignersPath))
    try Files.write(Array(signers.map(\.line).joined().utf8), to: allowedSignersPath)
    for (pair, half) in [(release, keys.release), (lockdown, keys.lockdown)] { try pair.keep(half.key) }
    return Created(
      principal: principal, release: release.created(keys.release.key), lockdown: lockdown.created(keys.lockdown.key),
      allowedSignersPath: allowedSignersPath)
  }

  package enum Passphrase: Sendable {
    /// ssh-keygen asks at the terminal, without a word which key it is for.
    case asked(@Sendable (String) -> Void)
    case none
  }

  /// A detached SSHSIG over a release's statement. May wait for a passphrase or a touch.
  package func sign(release statement: [UInt8]) async throws -> [UInt8] {
    try await Self.sign(
      statement, in: .release, with: signingKeyPath, doing: "sign release", setting: "keys.signing_key")
  }

  /// The same over an order's.
  /// - Parameter key: another one than the configuration says.
  package func sign(order statement: [UInt8], of kind: OrderKind, with key: String? = nil) async throws -> [UInt8] {
    try await Self.sign(
      statement, in: kind.namespace, with: key ?? path(for: kind), doing: "sign \(kind.rawValue) order",
      setting: "keys.\(kind.rawValue)_key")
  }

  private static func sign(
    _ text: [UInt8], in namespace: SigningNamespace, with path: String, doing operation: String, setting: String
  ) async throws -> [UInt8] {
    // Without a private half the public one names a key that an ssh-agent or a token holds.
    let key = Files.exists(path) ? path : path + ".pub"
    guard Files.exists(key) else {
      throw Failure(
        operation, because: Reason("there is no key \(path)"),
        hint: "create or adopt one with 'portcullis keys init', or set \(setting) in portcullis.yaml")
    }
    return try await Program.sshKeygen.succeed(
      ["-Y", "sign", "-q", "-n", namespace.rawValue, "-f", key], input: text, doing: "\(operation) with \(key)")
  }

  // MARK: - How many people

  /// Who may sign at that time, sorted, each once.
  static func people(_ kind: OrderKind, in signers: AllowedSigners, at now: UTCTime) -> [String] {
    let able = signers.all.filter { signer in
      signer.namespaces.contains(kind.namespace.rawValue) && signer.validAfter.map { $0 <= now } ?? true
        && signer.validBefore.map { now < $0 } ?? true
    }
    return Set(able.map(\.principal)).sorted()
  }

  /// Hosts that ask for more people than there are could never be locked down, or never opened again. Where nobody may
  /// sign one kind at all, the fleet does not use it yet.
  func checkThresholds(_ signers: AllowedSigners, at now: UTCTime) throws(Failure) {
    for kind in OrderKind.allCases {
      let people = Self.people(kind, in: signers, at: now)
      guard people.isEmpty || people.count >= thresholds.of(kind) else {
        throw tooFew(people, for: kind, of: thresholds.of(kind), doing: "trust keys.thresholds")
      }
    }
  }

  func tooFew(_ people: [String], for kind: OrderKind, of threshold: Int, doing operation: String) -> Failure {
    let names = people.isEmpty ? "nobody" : people.map { SafeText.escape($0) }.joined(separator: ", ")
    return Failure(
      operation,
      because: Reason(
        "\(threshold) \(threshold == 1 ? "person has" : "people have") to sign \(kind.rawValue) orders, and \(names) may: "
          + "two keys of one person count once"),
      hint:
        "give others a line with namespaces=\"\(kind.namespace.rawValue)\" in \(allowedSignersPath), and enroll the "
        + "hosts again", kind: .refused)
  }
}

/// A key that is made, or whose public half is adopted.
private struct KeyPair {
  let path: String
  let purpose: String
  /// Which adopts one.
  let option: String
  let adopted: String?

  private var publicKeyPath: String { adopted ?? path + ".pub" }

  func checkFree() throws {
    guard adopted != nil || !Files.exists(path) else {
      throw Failure(
        "create \(purpose) key", because: Reason("\(path) exists"), hint: "adopt it with \(option) \(path).pub",
        kind: .refused)
    }
  }

  func make(_ principal: String, _ passphrase: SigningKeys.Passphrase) async throws {
    guard adopted == nil else { return }
    try Files.makeDirectory(directory(of: path), mode: 0o700)
    var arguments = ["-q", "-t", "ed25519", "-C", principal, "-f", path]
    switch passphrase {
    case .none: arguments += ["-N", ""]
    case .asked(let tell): tell("a passphrase for the \(purpose) key \(path):")
    }
    _ = try await Program.sshKeygen.succeed(arguments, doing: "create \(purpose) key \(path)")
  }

  func publicHalf() throws -> PublicKeyFile {
    try PublicKeyFile.parse(try Files.read(publicKeyPath, atMost: 16 << 10), file: publicKeyPath)
  }

  /// The public half is all that signing by an agent or a token needs to find.
  func keep(_ key: SSHPublicKey) throws {
    guard adopted != nil, publicKeyPath != path + ".pub" else { return }
    try Files.makeDirectory(directory(of: path), mode: 0o700)
    try Files.write(Array("\(key.text)\n".utf8), to: path + ".pub")
  }

  func created(_ key: SSHPublicKey) -> SigningKeys.Created.Key {
    .init(fingerprint: key.fingerprint, publicKeyPath: publicKeyPath, adopted: adopted != nil)
  }
}

package func directory(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
