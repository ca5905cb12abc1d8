internal import Crypto
internal import FoundationEssentials

/// A host's public key as it travels: an SSH string of the type followed by what the type needs.
package struct HostKey: Hashable, Sendable, CustomStringConvertible {
  /// `ssh-ed25519` and so on: the name inside the blob.
  package let type: String
  package let blob: [UInt8]

  /// Nil unless the blob begins with the name of a type that we can verify.
  package init?(blob: [UInt8]) {
    guard blob.count >= 4, blob.count <= 16 << 10 else { return nil }
    let length = blob[0..<4].reduce(0) { $0 << 8 | Int($1) }
    guard length <= blob.count - 4, let name = String(validating: blob[4..<4 + length], as: UTF8.self),
      Self.signatures[name] != nil
    else { return nil }
    type = name
    self.blob = blob
  }

  /// Nil unless it is canonical base64 of such a blob.
  package init?(base64: some Collection<UInt8>) {
    guard let data = Data(base64Encoded: Data(base64)) else { return nil }
    self.init(blob: Array(data))
  }

  /// `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it.
  package var fingerprint: String {
    let digest = Data(SHA256.hash(data: blob)).base64EncodedString()
    return "SHA256:" + digest.prefix { $0 != "=" }
  }

  package var description: String { "\(type) \(fingerprint)" }

  /// The signature algorithms a key of this type can prove itself with, best first. No SHA-1.
  package var algorithms: [String] { Self.signatures[type] ?? [] }

  private static let signatures: [String: [String]] = [
    "ssh-ed25519": ["ssh-ed25519"],
    "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
    "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
    "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
    "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
  ]
}
