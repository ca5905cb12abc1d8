internal import Core
internal import Crypto

/// One detached signature as `ssh-keygen -Y sign` writes it (OpenSSH's PROTOCOL.sshsig). What is accepted here is
/// accepted by `ssh-keygen -Y verify`; the reverse is not so: no RSA, no certificates, touch required, one spelling.
package struct SSHSignature: Hashable, Sendable {
  /// In bytes of armored text.
  package static let maximumSize = 4 << 10
  /// In bytes.
  static let maximumNamespaceLength = 255

  /// The hash the message went through before it was signed; the key's own algorithm hashes again.
  package enum Hash: String, Hashable, Sendable {
    case sha256
    case sha512
  }

  package enum Verdict: Hashable, Sendable {
    case valid
    /// Well-formed, but not this key's signature over this message.
    case invalid
    /// Made for another purpose; the message was not looked at.
    case otherNamespace(String)
  }

  package let key: SSHPublicKey
  package let namespace: String
  package let hash: Hash
  private let signature: [UInt8]

  package static func parse(armored text: [UInt8]) throws(SSHFormatProblem) -> SSHSignature {
    try SSHSignature(blob: SSHSignatureArmor.decode(text))
  }

  package init(blob: [UInt8]) throws(SSHFormatProblem) {
    let publicKey: ArraySlice<UInt8>
    let hashName: String
    do throws(ByteReader.Problem) {
      var reader = ByteReader(blob)
      guard try reader.raw(6, field: "the preamble").elementsEqual(Self.preamble) else {
        throw .malformed(field: "the preamble")
      }
      guard try reader.uint32("the version") == 1 else { throw .malformed(field: "the version (only 1 is known)") }
      publicKey = try reader.string("the public key", atMost: Self.maximumSize)
      namespace = try reader.text("the namespace", atMost: Self.maximumNamespaceLength)
      // The signed bytes hold an empty one, so any other was never signed.
      guard try reader.string("the reserved field", atMost: Self.maximumSize).isEmpty else {
        throw .malformed(field: "the reserved field, which must be empty,")
      }
      hashName = try reader.text("the hash's name", atMost: 255)
      signature = Array(try reader.string("the signature", atMost: Self.maximumSize))
      try reader.end()
    } catch {
      throw SSHFormatProblem(error)
    }
    guard !namespace.isEmpty, namespace.utf8.allSatisfy(ASCII.isPrintable) else {
      throw SSHFormatProblem("the namespace '\(SafeText.escape(namespace))' is empty or not printable ASCII")
    }
    guard let hash = Hash(rawValue: hashName) else {
      throw SSHFormatProblem("the hash '\(SafeText.escape(String(hashName.prefix(64))))' is neither sha512 nor sha256")
    }
    self.hash = hash
    key = try SSHPublicKey(blob: Array(publicKey))
  }

  /// The namespace is compared before anything is computed.
  package func verify(message: [UInt8], namespace expected: String) throws(SSHFormatProblem) -> Verdict {
    guard namespace.utf8.elementsEqual(expected.utf8) else { return .otherNamespace(namespace) }
    var signed = ByteWriter()
    signed.raw(Self.preamble)
    signed.text(namespace)
    signed.uint32(0)
    signed.text(hash.rawValue)
    switch hash {
    case .sha256: signed.string(Array(SHA256.hash(data: message)))
    case .sha512: signed.string(Array(SHA512.hash(data: message)))
    }
    return try key.verifies(signature: signature[...], over: signed.bytes) ? .valid : .invalid
  }

  private static let preamble = Array("SSHSIG".utf8)
}
