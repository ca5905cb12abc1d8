package import Core

/// A text and the signatures that came with it, none of them checked. Messages call the text by its name, and its
/// signatures NAME.0.sig and so on.
package struct SignedText: Sendable {
  package let name: String
  package let bytes: [UInt8]
  package let signatures: [[UInt8]]

  package init(name: String, bytes: [UInt8], signatures: [[UInt8]]) {
    self.name = name
    self.bytes = bytes
    self.signatures = signatures
  }
}

/// Finds out who signed a text, for one purpose.
package struct SignatureCheck: Sendable {
  package let allowedSigners: AllowedSigners
  package let namespace: SigningNamespace
  /// How many different principals must have signed; two keys of one principal count once.
  package let threshold: Int

  package init(allowedSigners: AllowedSigners, namespace: SigningNamespace, threshold: Int) {
    self.allowedSigners = allowedSigners
    self.namespace = namespace
    self.threshold = max(1, threshold)
  }

  /// The keys a signature may be by, as far as time goes.
  package enum Keys: Hashable, Sendable {
    case validNow
    /// Also keys that have ended or not begun: for a text that was accepted before.
    case ofAnyTime
  }

  /// Sorted, each once.
  ///
  /// Signatures that do not count (by a key this host does not know yet, say, while keys are exchanged) do no harm as
  /// long as enough others do; when too few do, the first one's fault is reported.
  package func principals(
    of text: SignedText, by keys: Keys = .validNow, now: UTCTime
  ) throws(SignatureProblem) -> [String] {
    var principals = Set<String>()
    var first: SignatureProblem?
    for (index, signature) in text.signatures.enumerated() {
      do throws(SignatureProblem.Fault) {
        principals.insert(try signer(signature, over: text.bytes, by: keys, now: now))
      } catch {
        first = first ?? .notCounted(text: text.name, index: index, error)
      }
      // Further signatures could change nothing but the work done.
      if principals.count >= threshold { break }
    }
    let sorted = principals.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    guard sorted.count >= threshold else {
      throw first ?? .tooFewSigners(text: text.name, sorted, threshold: threshold)
    }
    return sorted
  }

  private func signer(
    _ armored: [UInt8], over message: [UInt8], by keys: Keys, now: UTCTime
  ) throws(SignatureProblem.Fault) -> String {
    func wellFormed<Value>(
      _ read: () throws(SSHFormatProblem) -> Value
    ) throws(SignatureProblem.Fault) -> Value {
      do throws(SSHFormatProblem) { return try read() } catch { throw .malformed(error) }
    }
    let wanted = namespace.rawValue
    let signature = try wellFormed { () throws(SSHFormatProblem) in try SSHSignature.parse(armored: armored) }
    let signer: AllowedSigner
    switch allowedSigners.signer(of: signature.key.blob, namespace: wanted, at: now) {
    case .signer(let found): signer = found
    case .notYetValid(let found) where keys == .ofAnyTime, .expired(let found) where keys == .ofAnyTime: signer = found
    case .unknownKey: throw .unknownKey(fingerprint: signature.key.fingerprint)
    case .otherNamespace(let found):
      throw .keyForOtherPurposes(principal: found.principal, namespaces: found.namespaces, wanted: wanted)
    case .notYetValid(let found):
      throw .keyNotYetValid(principal: found.principal, start: found.validAfter ?? now, now: now)
    case .expired(let found):
      throw .expiredKey(principal: found.principal, end: found.validBefore ?? now, now: now)
    }
    let verdict = try wellFormed { () throws(SSHFormatProblem) in
      try signature.verify(message: message, namespace: wanted)
    }
    switch verdict {
    case .valid: return signer.principal
    case .invalid: throw .badSignature(principal: signer.principal)
    case .otherNamespace(let found): throw .otherNamespace(found: found, wanted: wanted)
    }
  }
}
