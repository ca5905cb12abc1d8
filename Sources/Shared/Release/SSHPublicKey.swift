internal import Core

/// The kinds of key this program verifies with.
package enum SSHKeyKind: String, Hashable, Sendable, CaseIterable {
  case ed25519 = "ssh-ed25519"
  case ecdsaP256 = "ecdsa-sha2-nistp256"
  /// On a FIDO token; every signature tells whether it was touched.
  case securityKeyEd25519 = "sk-ssh-ed25519@openssh.com"
  case securityKeyECDSAP256 = "sk-ecdsa-sha2-nistp256@openssh.com"

  var isSecurityKey: Bool {
    switch self {
    case .ed25519, .ecdsaP256: false
    case .securityKeyEd25519, .securityKeyECDSAP256: true
    }
  }

  /// Why a kind that OpenSSH knows is not taken here.
  static func refusal(of name: String) -> String {
    let accepted = allCases.map(\.rawValue).joined(separator: ", ")
    let shown = SafeText.escape(String(name.prefix(64)))
    let what =
      if name.contains("-cert-v0") {
        "'\(shown)' is a certificate, and certificates are not accepted"
      } else if name == "ssh-rsa" || name.hasPrefix("rsa-") {
        "'\(shown)' is an RSA key, and RSA is not accepted"
      } else if name == "ssh-dss" {
        "'\(shown)' is a DSA key, and DSA is not accepted"
      } else if name.hasPrefix("webauthn-") {
        "'\(shown)' is a signature made by a web browser, and those are not accepted"
      } else if name.hasPrefix("ecdsa-sha2-") {
        "'\(shown)' is on a curve other than nistp256"
      } else {
        "'\(shown)' is not a kind of key known here"
      }
    return "\(what) (accepted: \(accepted))"
  }
}

/// Why bytes are not a key or a signature that is accepted here.
package struct SSHFormatProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// Safe for a terminal.
  package let description: String

  init(_ description: String) { self.description = description }
  init(_ problem: ByteReader.Problem) { description = problem.description }
}

/// A public key in SSH's own encoding (RFC 8709, RFC 5656, OpenSSH's PROTOCOL.u2f), strictly read: no byte is left
/// over, points are uncompressed, and security keys belong to an `ssh:` application, since a token signs for web sites
/// too.
package struct SSHPublicKey: Hashable, Sendable {
  /// In bytes; the longest accepted kind takes 123 with the usual application `ssh:`.
  package static let maximumSize = 512

  package let kind: SSHKeyKind
  /// The whole encoded key: two keys are the same exactly when these bytes are.
  package let blob: [UInt8]
  /// 32 bytes of Ed25519, or 65 of an uncompressed P-256 point.
  let point: [UInt8]
  /// What a security key's signatures are bound to; empty for other kinds.
  let application: [UInt8]

  package init(blob: [UInt8]) throws(SSHFormatProblem) {
    guard blob.count <= Self.maximumSize else {
      throw SSHFormatProblem("the key has \(blob.count) bytes, more than the \(Self.maximumSize) allowed")
    }
    let name: String
    let fields: (curve: ArraySlice<UInt8>?, point: ArraySlice<UInt8>, application: ArraySlice<UInt8>?)
    do throws(ByteReader.Problem) {
      var reader = ByteReader(blob)
      name = try reader.text("the key's type", atMost: Self.maximumSize)
      guard let kind = SSHKeyKind(rawValue: name) else { throw .malformed(field: "") }
      self.kind = kind
      let isECDSA = kind == .ecdsaP256 || kind == .securityKeyECDSAP256
      let curve = isECDSA ? try reader.string("the key's curve", atMost: 16) : nil
      let point = try reader.string("the key's point", atMost: Self.maximumSize)
      let application = kind.isSecurityKey ? try reader.string("the key's application", atMost: 255) : nil
      try reader.end()
      fields = (curve, point, application)
    } catch {
      var reader = ByteReader(blob)
      if let name = try? reader.text("", atMost: Self.maximumSize), SSHKeyKind(rawValue: name) == nil {
        throw SSHFormatProblem(SSHKeyKind.refusal(of: name))
      }
      throw SSHFormatProblem(error)
    }
    if let curve = fields.curve {
      guard curve.elementsEqual("nistp256".utf8) else { throw SSHFormatProblem("the key's curve is not nistp256") }
      guard fields.point.count == 65, fields.point.first == 0x04 else {
        throw SSHFormatProblem("the key's point is not an uncompressed one of 65 bytes")
      }
    } else {
      guard fields.point.count == 32 else {
        throw SSHFormatProblem("the key's point has \(fields.point.count) bytes instead of 32")
      }
    }
    if let application = fields.application {
      guard application.starts(with: "ssh:".utf8), application.allSatisfy({ $0 != 0x20 && ASCII.isPrintable($0) })
      else {
        throw SSHFormatProblem(
          "the security key's application '\(SafeText.escape(application))' does not begin with 'ssh:'")
      }
    }
    self.blob = blob
    point = Array(fields.point)
    application = Array(fields.application ?? [])
    guard hasValidPoint else { throw SSHFormatProblem("the key's point does not lie on its curve") }
  }

  /// As `ssh-keygen -l` shows it: `SHA256:` and base64 without padding.
  package var fingerprint: String { "SHA256:" + Base64.encode(Digest(of: blob).bytes, padded: false) }

  /// The two words of a `.pub` file: type and base64.
  package var text: String { "\(kind.rawValue) \(Base64.encode(blob))" }

  /// Reads the two words of a `.pub` file.
  init(type: String, base64: some BidirectionalCollection<UInt8>) throws(SSHFormatProblem) {
    guard let kind = SSHKeyKind(rawValue: type) else { throw SSHFormatProblem(SSHKeyKind.refusal(of: type)) }
    guard base64.count <= 2 * Self.maximumSize, let blob = Base64.decode(base64) else {
      throw SSHFormatProblem("the key is not canonical base64")
    }
    try self.init(blob: blob)
    guard kind == self.kind else {
      throw SSHFormatProblem("the line says \(kind.rawValue), the key itself \(self.kind.rawValue)")
    }
  }
}
