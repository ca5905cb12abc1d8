import Core
import Crypto
import Foundation
import Release

/// A private key of any of the four kinds, signing as ssh-keygen (or a FIDO token behind it) would, and on request
/// wrongly. ssh-keygen cannot sign with a token's kinds of key without a token, but it verifies them.
struct TestSigner: Sendable {
  private enum Key: Sendable {
    case ed25519(Curve25519.Signing.PrivateKey)
    case p256(P256.Signing.PrivateKey)
  }

  let kind: SSHKeyKind
  let application: String
  private let key: Key

  init(_ kind: SSHKeyKind, application: String = "ssh:") {
    self.kind = kind
    self.application = application
    switch kind {
    case .ed25519, .securityKeyEd25519: key = .ed25519(Curve25519.Signing.PrivateKey())
    case .ecdsaP256, .securityKeyECDSAP256: key = .p256(P256.Signing.PrivateKey())
    }
  }

  var isSecurityKey: Bool { kind == .securityKeyEd25519 || kind == .securityKeyECDSAP256 }

  var publicBlob: [UInt8] {
    var writer = ByteWriter()
    writer.text(kind.rawValue)
    switch key {
    case .ed25519(let key): writer.string(Array(key.publicKey.rawRepresentation))
    case .p256(let key):
      writer.text("nistp256")
      writer.string(Array(key.publicKey.x963Representation))
    }
    if isSecurityKey { writer.text(application) }
    return writer.bytes
  }

  var publicKey: SSHPublicKey { get throws { try SSHPublicKey(blob: publicBlob) } }

  /// What may be made wrong in a signature's blob while all else stays right.
  struct Deviations: Sendable {
    var version: UInt32 = 1
    var reserved: [UInt8] = []
    var flags: UInt8 = 0x01
    var counter: UInt32 = 7
    var type: String?
    var publicBlob: [UInt8]?
    var trailing: [UInt8] = []
    var innerTrailing: [UInt8] = []
    var numbersTrailing: [UInt8] = []
    /// r and s with a zero byte before it that they do not need.
    var paddedNumbers = false
    /// r and s without the zero byte that keeps a number with its highest bit set positive.
    var negativeNumbers = false
  }

  func signatureBlob(
    _ message: [UInt8], namespace: String, hash: String = "sha512", _ wrong: Deviations = Deviations()
  ) throws -> [UInt8] {
    var signed = ByteWriter()
    signed.raw("SSHSIG".utf8)
    signed.text(namespace)
    signed.string(wrong.reserved)
    signed.text(hash)
    signed.string(hash == "sha256" ? Array(SHA256.hash(data: message)) : Array(SHA512.hash(data: message)))
    var toSign = signed.bytes
    if isSecurityKey {
      var encoded = ByteWriter()
      encoded.raw(Array(SHA256.hash(data: Array(application.utf8))))
      encoded.uint8(wrong.flags)
      encoded.uint32(wrong.counter)
      encoded.raw(Array(SHA256.hash(data: toSign)))
      toSign = encoded.bytes
    }
    var inner = ByteWriter()
    inner.text(wrong.type ?? kind.rawValue)
    switch key {
    case .ed25519(let key): inner.string(Array(try key.signature(for: toSign)))
    case .p256(let key):
      var raw = Array(try key.signature(for: toSign).rawRepresentation)
      // Only a number with its highest bit set needs a zero, and only one without it can have a zero too many.
      while wrong.negativeNumbers && (raw[0] < 0x80 || raw[32] < 0x80)
        || wrong.paddedNumbers && (raw[0] >= 0x80 || raw[32] >= 0x80)
      {
        raw = Array(try key.signature(for: toSign).rawRepresentation)
      }
      var numbers = ByteWriter()
      for half in [raw[..<32], raw[32...]] {
        let digits = half.drop { $0 == 0 }
        let needsZero = digits.first.map { $0 >= 0x80 } == true && !wrong.negativeNumbers
        let shortest = needsZero ? [0] + digits : Array(digits)
        numbers.string(wrong.paddedNumbers ? [0] + shortest : shortest)
      }
      numbers.raw(wrong.numbersTrailing)
      inner.string(numbers.bytes)
    }
    if isSecurityKey {
      inner.uint8(wrong.flags)
      inner.uint32(wrong.counter)
    }
    inner.raw(wrong.innerTrailing)
    var blob = ByteWriter()
    blob.raw("SSHSIG".utf8)
    blob.uint32(wrong.version)
    blob.string(wrong.publicBlob ?? publicBlob)
    blob.text(namespace)
    blob.string(wrong.reserved)
    blob.text(hash)
    blob.string(inner.bytes)
    blob.raw(wrong.trailing)
    return blob.bytes
  }

  func sign(
    _ message: [UInt8], namespace: String = SigningNamespace.release.rawValue, hash: String = "sha512",
    _ wrong: Deviations = Deviations()
  ) throws -> [UInt8] {
    SSHSignatureArmor.encode(try signatureBlob(message, namespace: namespace, hash: hash, wrong))
  }
}
