package import Core

/// Why a text is not signed by enough of those who may. Every case says so in a sentence, safe for a terminal.
package enum SignatureProblem: Error, Hashable, Sendable {
  /// The broad kind, one for each word the wire has for a refusal.
  package enum Kind: Hashable, Sendable, CaseIterable {
    case badSignature, unknownKey, expiredKey, otherNamespace, tooFewSigners
  }

  /// Why one signature does not count.
  package enum Fault: Error, Hashable, Sendable {
    /// No signature accepted here.
    case malformed(SSHFormatProblem)
    /// A well-formed signature by a known key that does not verify.
    case badSignature(principal: String)
    case unknownKey(fingerprint: String)
    case otherNamespace(found: String, wanted: String)
    /// The key may sign, but not such texts.
    case keyForOtherPurposes(principal: String, namespaces: [String], wanted: String)
    case expiredKey(principal: String, end: UTCTime, now: UTCTime)
    case keyNotYetValid(principal: String, start: UTCTime, now: UTCTime)
  }

  case notCounted(text: String, index: Int, Fault)
  /// All signatures count, and together they are by too few people.
  case tooFewSigners(text: String, [String], threshold: Int)

  package var kind: Kind {
    switch self {
    case .tooFewSigners: .tooFewSigners
    case .notCounted(_, _, let fault):
      switch fault {
      case .malformed, .badSignature: .badSignature
      case .unknownKey: .unknownKey
      case .otherNamespace, .keyForOtherPurposes: .otherNamespace
      case .expiredKey, .keyNotYetValid: .expiredKey
      }
    }
  }
}

extension SignatureProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tooFewSigners(let text, let principals, let threshold):
      "\(text) needs the signatures of \(threshold) people and has those of \(principals.count)"
        + (principals.isEmpty ? "" : " (\(principals.joined(separator: ", ")))")
    case .notCounted(let text, let index, let fault): "\(text).\(index).sig \(fault.predicate(of: text))"
    }
  }
}

extension SignatureProblem.Fault {
  fileprivate func predicate(of text: String) -> String {
    switch self {
    case .malformed(let problem): "is not a signature accepted here: \(problem)"
    case .badSignature(let principal):
      "is not \(principal)'s signature over this \(text): one of the two was changed"
    case .unknownKey(let fingerprint):
      "was made with the key \(fingerprint), which this host's allowed_signers does not know"
    case .otherNamespace(let found, let wanted): "was made for '\(SafeText.escape(found))', not for '\(wanted)'"
    case .keyForOtherPurposes(let principal, let namespaces, let wanted):
      "was made with a key of \(principal), who may sign \(namespaces.joined(separator: ", ")) but not \(wanted)"
    case .expiredKey(let principal, let end, let now):
      "was made with a key of \(principal) that ended at \(end); this host's clock says \(now)"
    case .keyNotYetValid(let principal, let start, let now):
      "was made with a key of \(principal) that begins at \(start); this host's clock says \(now)"
    }
  }
}
