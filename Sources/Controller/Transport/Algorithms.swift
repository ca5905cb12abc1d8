/// What we accept of a peer, and nothing else. libssh's defaults are wider.
enum Algorithms {
  static let strictKeyExchange = "kex-strict-s-v00@openssh.com"

  /// Curve25519 first; the NIST curves for hosts in FIPS mode. No finite-field groups: they cost the host ten times as
  /// much, and every server that has strict key exchange has a curve.
  static let keyExchange = [
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
  ]
  /// No AES-GCM: libssh over OpenSSL did not check its tag before 0.12.1 (CVE-2026-59847), and the version number does
  /// not tell whether a distribution mended it.
  static let ciphers = ["chacha20-poly1305@openssh.com", "aes256-ctr"]
  static let macs = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
  static let hostKeys = [
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
  ]
  /// Signatures we log in with; sk keys are signed for by ssh-agent.
  static let publicKeys = [
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com",
    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
  ]

  /// Ciphers that authenticate by themselves, so that no MAC is chosen.
  static let selfAuthenticating: Set<String> = ["chacha20-poly1305@openssh.com"]
}
