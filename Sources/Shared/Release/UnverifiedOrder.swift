internal import Core

/// An order as it arrived: nothing of it is over its size, and nothing else is known. Only `OrderVerifier` makes more
/// of it.
package struct UnverifiedOrder: Sendable {
  /// More signers than any threshold needs; a bound on work for the host.
  package static let maximumSignatures = BundleFile.maximumSignatures

  package let kind: OrderKind
  package let statement: [UInt8]
  package let signatures: [[UInt8]]

  package init(kind: OrderKind, statement: [UInt8], signatures: [[UInt8]]) throws(OrderProblem) {
    guard statement.count <= OrderKind.maximumSize else {
      throw .tooLarge(kind.textName, size: statement.count, limit: OrderKind.maximumSize)
    }
    guard signatures.count <= Self.maximumSignatures else { throw .tooManySignatures(kind, signatures.count) }
    for (index, signature) in signatures.enumerated() where signature.count > SSHSignature.maximumSize {
      throw .tooLarge("\(kind.textName).\(index).sig", size: signature.count, limit: SSHSignature.maximumSize)
    }
    self.kind = kind
    self.statement = statement
    self.signatures = signatures
  }

  var digest: Digest { EpochFloor.digest(of: kind, statement) }
}
