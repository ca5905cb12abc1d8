package import Core
internal import Crypto
package import Release
package import Wire

/// Lockdown and unlock orders, signed as ssh-keygen signs, with keys that exist for this run only: lena and carl may lock,
/// anna and bert may unlock.
package enum SignedOrders {
  package enum Signer: String, CaseIterable, Sendable { case lena, carl, anna, bert, stranger }

  private static let keys = Dictionary(
    uniqueKeysWithValues: Signer.allCases.map { ($0, Curve25519.Signing.PrivateKey()) })

  package static var allowedSigners: [UInt8] {
    let signers: [(Signer, SigningNamespace)] = [
      (.lena, .lockdown), (.carl, .lockdown), (.anna, .unlock), (.bert, .unlock),
    ]
    return signers.flatMap { signer, namespace in
      Array("\(signer) namespaces=\"\(namespace.rawValue)\" ssh-ed25519 \(Base64.encode(blob(signer)))\n".utf8)
    }
  }

  package static func terms(
    _ epoch: UInt64, fleet: FleetID = SignedBundles.fleet, scope: LockScope? = nil, issued: UTCTime = SignedBundles.now,
    for seconds: Int64 = 3600, reason: String = "INC-991"
  ) throws -> OrderTerms {
    try OrderTerms(
      fleet: fleet, epoch: Epoch(epoch), scope: scope ?? LockScope(any: ["all"]), issued: issued,
      arriveBy: issued + seconds, reason: reason)
  }

  package static func lockdown(
    _ terms: OrderTerms, profile: String = "isolate", isDrill: Bool = false, liftsAfter: UInt32? = nil,
    by signers: [Signer] = [.lena]
  ) throws -> OrderDelivery {
    let order = try LockdownOrder(
      terms: terms, isDrill: isDrill, profile: ProfileName(profile)!, liftsAfter: liftsAfter)
    return try delivery(.lockdown, order.encode(), by: signers)
  }

  package static func unlock(_ terms: OrderTerms, by signers: [Signer] = [.anna]) throws -> OrderDelivery {
    try delivery(.unlock, UnlockOrder(terms: terms).encode(), by: signers)
  }

  package static func delivery(
    _ kind: OrderKind, _ statement: [UInt8], by signers: [Signer]
  ) throws -> OrderDelivery {
    OrderDelivery(
      nonce: .random(), kind: kind == .lockdown ? .lockdown : .unlock, statement: statement,
      signatures: try signers.map { try sign(statement, by: $0, in: kind.namespace) })
  }

  private static func blob(_ signer: Signer) -> [UInt8] {
    var writer = ByteWriter()
    writer.text("ssh-ed25519")
    writer.string(Array(keys[signer]!.publicKey.rawRepresentation))
    return writer.bytes
  }

  private static func sign(_ message: [UInt8], by signer: Signer, in namespace: SigningNamespace) throws -> [UInt8] {
    func head(_ writer: inout ByteWriter) {
      writer.text(namespace.rawValue)
      writer.text("")
      writer.text("sha512")
    }
    var signed = ByteWriter()
    signed.raw("SSHSIG".utf8)
    head(&signed)
    signed.string(Array(SHA512.hash(data: message)))
    var inner = ByteWriter()
    inner.text("ssh-ed25519")
    inner.string(Array(try keys[signer]!.signature(for: signed.bytes)))
    var blob = ByteWriter()
    blob.raw("SSHSIG".utf8)
    blob.uint32(1)
    blob.string(Self.blob(signer))
    head(&blob)
    blob.string(inner.bytes)
    return SSHSignatureArmor.encode(blob.bytes)
  }
}
