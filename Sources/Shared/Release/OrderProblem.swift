package import Core

/// Why an order is not obeyed. Every case says so in a sentence for an operator, safe for a terminal.
package enum OrderProblem: Error, Hashable, Sendable {
  /// The broad kind, one for each word the wire has for a refusal.
  package enum Kind: Hashable, Sendable, CaseIterable {
    case malformed, tooLarge, badSignature, unknownKey, expiredKey, otherNamespace, otherFleet
    case unsigned, tooFewPrincipals, olderEpoch, equalEpochOtherBytes, epochTooFarAhead, orderExpired, clockOff
    case unknownProfile, profileMissing, profileAltered, emptyScope, wouldLoosen
  }

  case tooLarge(String, size: Int, limit: Int)
  case tooManySignatures(OrderKind, Int)
  case unsigned(OrderKind)
  case signatures(SignatureProblem)
  case malformed(FormatProblem)
  case otherFleet(found: FleetID, expected: FleetID)
  case olderEpoch(found: Epoch, heard: Epoch)
  case equalEpochOtherBytes(Epoch)
  case epochTooFarAhead(found: Epoch, heard: Epoch)
  case orderExpired(Epoch, arriveBy: UTCTime, now: UTCTime)
  /// So far off that the order's age cannot be judged.
  case clockOff(Epoch, issued: UTCTime, arriveBy: UTCTime, now: UTCTime)
  case unknownProfile(ProfileName, release: Serial, known: [ProfileName])
  case nothingCommitted(ProfileName)
  case profileMissing(ProfileName, Family)
  case profileAltered(ProfileName, Family, found: Manifest.File, signed: Manifest.File)
  case emptyScope(Epoch)
  case lowerRank(ProfileName, LockRank, inForce: ProfileName, LockRank)
  /// In seconds; nil when the lock in force never lifts itself.
  case soonerLift(seconds: UInt32, inForce: UInt32?)

  package var kind: Kind {
    switch self {
    case .tooLarge, .tooManySignatures: .tooLarge
    case .unsigned: .unsigned
    case .signatures(let problem):
      switch problem.kind {
      case .badSignature: .badSignature
      case .unknownKey: .unknownKey
      case .expiredKey: .expiredKey
      case .otherNamespace: .otherNamespace
      case .tooFewSigners: .tooFewPrincipals
      }
    case .malformed: .malformed
    case .otherFleet: .otherFleet
    case .olderEpoch: .olderEpoch
    case .equalEpochOtherBytes: .equalEpochOtherBytes
    case .epochTooFarAhead: .epochTooFarAhead
    case .orderExpired: .orderExpired
    case .clockOff: .clockOff
    case .unknownProfile: .unknownProfile
    case .nothingCommitted, .profileMissing: .profileMissing
    case .profileAltered: .profileAltered
    case .emptyScope: .emptyScope
    case .lowerRank, .soonerLift: .wouldLoosen
    }
  }
}

extension OrderProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tooLarge(let text, let size, let limit): "\(text) has \(size) bytes, more than the \(limit) allowed"
    case .tooManySignatures(let kind, let count):
      "\(kind.textName) came with \(count) signatures, more than the \(UnverifiedOrder.maximumSignatures) allowed"
    case .unsigned(let kind): "\(kind.textName) came without a signature"
    case .signatures(let problem): problem.description
    case .malformed(let problem): problem.description
    case .otherFleet(let found, let expected): "the order is for fleet \(found); this host belongs to \(expected)"
    case .olderEpoch(let found, let heard):
      "order \(found) is older than order \(heard), which this host has already heard"
    case .equalEpochOtherBytes(let epoch):
      "this host has already heard another order \(epoch): one epoch was used for two orders"
    case .epochTooFarAhead(let found, let heard):
      "order \(found) is more than \(Epoch.maximumStep) ahead of order \(heard), the last this host heard"
    case .orderExpired(let epoch, let arriveBy, let now):
      "order \(epoch) had to arrive by \(arriveBy), and this host's clock says \(now): it takes a fresh order"
    case .clockOff(let epoch, let issued, let arriveBy, let now):
      "order \(epoch) was issued at \(issued) and had to arrive by \(arriveBy); this host's clock says \(now), which "
        + "must be wrong: set it and repeat the order"
    case .unknownProfile(let name, let release, let known):
      "release \(release) has no lockdown profile \(name) for this host: it has "
        + (known.isEmpty ? "none" : known.map(\.description).joined(separator: ", "))
    case .nothingCommitted(let name): "this host has no committed release, and so no lockdown profile \(name)"
    case .profileMissing(let name, let family):
      "the \(family) rules of lockdown profile \(name) are not on this host: apply the release again"
    case .profileAltered(let name, let family, let found, let signed):
      "the \(family) rules of lockdown profile \(name) are not the signed ones (\(found.size) bytes, \(found.digest); "
        + "signed were \(signed.size) bytes, \(signed.digest)): apply the release again"
    case .emptyScope(let epoch): "order \(epoch) has no 'scope' line: it is for nobody"
    case .lowerRank(let name, let rank, let lockedBy, let lockedRank):
      "profile \(name) has rank \(rank), and this host is locked by \(lockedBy) of rank \(lockedRank): "
        + "only an unlock order loosens"
    case .soonerLift(let seconds, let left):
      "the order would lift itself after \(seconds) s, and the lock in force "
        + (left.map { "does so in \($0) s" } ?? "never does") + ": only an unlock order loosens"
    }
  }
}
