internal import Core
internal import Crypto
internal import Foundation

/// An SSH key pair in OpenSSH's own files, made here because hundreds of `ssh-keygen` processes take seconds.
struct LabKey {
  /// `ssh-ed25519 BASE64`, without a comment.
  let publicLine: String
  private let privateFile: String
  private let comment: String

  init(comment: String) {
    let key = Curve25519.Signing.PrivateKey()
    let publicBytes = Array(key.publicKey.rawRepresentation)
    var blob = ByteWriter()
    blob.text("ssh-ed25519")
    blob.string(publicBytes)
    publicLine = "ssh-ed25519 " + Data(blob.bytes).base64EncodedString()

    // PROTOCOL.key of OpenSSH: the secret part begins with the same number twice and is padded with 1, 2, 3 … to the
    // cipher's block, which is 8 bytes for none.
    var secret = ByteWriter()
    let check = UInt32.random(in: .min ... .max)
    secret.uint32(check)
    secret.uint32(check)
    secret.text("ssh-ed25519")
    secret.string(publicBytes)
    secret.string(Array(key.rawRepresentation) + publicBytes)
    secret.text(comment)
    var padding: UInt8 = 1
    while secret.bytes.count % 8 != 0 {
      secret.uint8(padding)
      padding += 1
    }
    var file = ByteWriter()
    file.raw("openssh-key-v1\0".utf8)
    file.text("none")
    file.text("none")
    file.text("")
    file.uint32(1)
    file.string(blob.bytes)
    file.string(secret.bytes)
    let encoded = Array(Data(file.bytes).base64EncodedString().utf8)
    let lines = stride(from: 0, to: encoded.count, by: 70)
      .map { String(decoding: encoded[$0..<min($0 + 70, encoded.count)], as: UTF8.self) }
    privateFile =
      "-----BEGIN OPENSSH PRIVATE KEY-----\n" + lines.joined(separator: "\n") + "\n-----END OPENSSH PRIVATE KEY-----\n"
    self.comment = comment
  }

  /// Writes `path` (for its owner only) and `path.pub`.
  func write(to path: String) throws {
    try LabFiles.write(privateFile, to: path, mode: 0o600)
    try LabFiles.write("\(publicLine) \(comment)\n", to: path + ".pub")
  }
}
