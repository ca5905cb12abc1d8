internal import Core
internal import Crypto

extension SSHPublicKey {
  /// Whether `signature` (the inner string of SSHSIG: type, signature, and for security keys flags and counter) is this
  /// key's over `message`. False means a well-formed signature that does not verify; what is not well-formed throws.
  func verifies(signature: ArraySlice<UInt8>, over message: [UInt8]) throws(SSHFormatProblem) -> Bool {
    let parts = try SignatureParts(signature, kind: kind)
    var signed = message
    if let touch = parts.securityKey {
      // PROTOCOL.u2f: SHA-256 of the application, flags, counter, SHA-256 of the message.
      var encoded = ByteWriter()
      encoded.raw(Digest(of: application).bytes)
      encoded.uint8(touch.flags)
      encoded.uint32(touch.counter)
      encoded.raw(Digest(of: message).bytes)
      signed = encoded.bytes
    }
    switch kind {
    case .ed25519, .securityKeyEd25519:
      guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: point) else { return false }
      return key.isValidSignature(parts.raw, for: signed)
    case .ecdsaP256, .securityKeyECDSAP256:
      guard let key = try? P256.Signing.PublicKey(x963Representation: point),
        let signature = try? P256.Signing.ECDSASignature(rawRepresentation: parts.raw)
      else { return false }
      return key.isValidSignature(signature, for: signed)
    }
  }

  var hasValidPoint: Bool {
    switch kind {
    case .ed25519, .securityKeyEd25519: (try? Curve25519.Signing.PublicKey(rawRepresentation: point)) != nil
    case .ecdsaP256, .securityKeyECDSAP256: (try? P256.Signing.PublicKey(x963Representation: point)) != nil
    }
  }
}

/// The inner string of SSHSIG, strictly read.
private struct SignatureParts {
  /// The token was touched for this very signature.
  private static let userPresent: UInt8 = 0x01

  /// 64 bytes: R and S of Ed25519, or r and s of ECDSA, each padded to 32.
  let raw: [UInt8]
  let securityKey: (flags: UInt8, counter: UInt32)?

  init(_ signature: ArraySlice<UInt8>, kind: SSHKeyKind) throws(SSHFormatProblem) {
    let type: String
    do throws(ByteReader.Problem) {
      var reader = ByteReader(signature)
      type = try reader.text("the signature's type", atMost: 255)
    } catch {
      throw SSHFormatProblem(error)
    }
    // Before the rest is read: another type has another form, and its name is the better answer.
    guard type == kind.rawValue else {
      guard SSHKeyKind(rawValue: type) != nil else { throw SSHFormatProblem(SSHKeyKind.refusal(of: type)) }
      throw SSHFormatProblem("the signature is of type \(type), its key of type \(kind.rawValue)")
    }
    do throws(ByteReader.Problem) {
      var reader = ByteReader(signature.dropFirst(4 + type.utf8.count))
      let body = try reader.string("the signature", atMost: 255)
      securityKey =
        kind.isSecurityKey
        ? (flags: try reader.uint8("the token's flags"), counter: try reader.uint32("the token's counter")) : nil
      try reader.end()
      switch kind {
      case .ed25519, .securityKeyEd25519: raw = Array(body)
      case .ecdsaP256, .securityKeyECDSAP256:
        var numbers = ByteReader(body)
        let r = try Self.scalar(try numbers.string("r", atMost: 33), "r")
        let s = try Self.scalar(try numbers.string("s", atMost: 33), "s")
        try numbers.end()
        raw = r + s
      }
    } catch {
      throw SSHFormatProblem(error)
    }
    guard raw.count == 64 else { throw SSHFormatProblem("the signature has \(raw.count) bytes instead of 64") }
    // ssh-keygen only mentions this; we insist, as sshd does at login.
    if let securityKey, securityKey.flags & Self.userPresent == 0 {
      throw SSHFormatProblem("the security key was not touched for this signature")
    }
  }

  /// An mpint (RFC 4251 §5) in its shortest form, not negative and not zero, padded to 32 bytes.
  private static func scalar(_ mpint: ArraySlice<UInt8>, _ field: String) throws(ByteReader.Problem) -> [UInt8] {
    guard let first = mpint.first, first < 0x80 else { throw .malformed(field: field) }
    var digits = mpint
    if first == 0 {
      digits = digits.dropFirst()
      guard let next = digits.first, next >= 0x80 else { throw .malformed(field: field) }
    }
    guard digits.count <= 32 else { throw .malformed(field: field) }
    return [UInt8](repeating: 0, count: 32 - digits.count) + digits
  }
}
