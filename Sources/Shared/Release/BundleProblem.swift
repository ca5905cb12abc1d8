package import Core

/// Why a bundle is not installed. Every case says so in a sentence for an operator, safe for a terminal.
package enum BundleProblem: Error, Hashable, Sendable {
  /// The broad kind, one for each word the wire has for a refusal.
  package enum Kind: Hashable, Sendable, CaseIterable {
    case malformed, tooLarge, badSignature, unknownKey, expiredKey, otherNamespace, otherHost, otherFleet, olderSerial
    case equalSerialOtherBytes, serialTooFarAhead, releaseExpired
  }

  case missingFile(BundleFile)
  /// A file the bundle must not have.
  case surplusFile(BundleFile)
  case tooLarge(BundleFile, size: Int)
  case malformed(FormatProblem)
  /// A signature file that is no signature accepted here.
  case malformedSignature(BundleFile, SSHFormatProblem)
  /// A well-formed signature by a known key that does not verify.
  case badSignature(BundleFile, principal: String)
  case unknownKey(BundleFile, fingerprint: String)
  case otherNamespace(BundleFile, found: String, wanted: String)
  /// The key may sign, but not releases.
  case keyForOtherPurposes(BundleFile, principal: String, namespaces: [String], wanted: String)
  case expiredKey(BundleFile, principal: String, end: UTCTime, now: UTCTime)
  case keyNotYetValid(BundleFile, principal: String, start: UTCTime, now: UTCTime)
  /// All valid signatures together are by too few people.
  case tooFewSigners([String], threshold: Int)
  case otherFleet(found: FleetID, expected: FleetID)
  case otherHost(found: HostID, expected: HostID)
  case olderSerial(found: Serial, installed: Serial)
  case equalSerialOtherBytes(Serial)
  case serialTooFarAhead(found: Serial, installed: Serial)
  case releaseExpired(Serial, expires: UTCTime, now: UTCTime)
  /// The manifest does not stand under the signed root.
  case notInRelease(Serial)
  /// The manifest stands under the root, but says something else than the statement.
  case manifestDisagrees(field: String, manifest: String, statement: String)
  case fileDiffers(BundleFile, reason: String)

  package var kind: Kind {
    switch self {
    case .missingFile, .surplusFile, .malformed, .manifestDisagrees: .malformed
    case .tooLarge: .tooLarge
    case .malformedSignature, .badSignature, .tooFewSigners, .notInRelease, .fileDiffers: .badSignature
    case .unknownKey: .unknownKey
    case .expiredKey, .keyNotYetValid: .expiredKey
    case .otherNamespace, .keyForOtherPurposes: .otherNamespace
    case .otherFleet: .otherFleet
    case .otherHost: .otherHost
    case .olderSerial: .olderSerial
    case .equalSerialOtherBytes: .equalSerialOtherBytes
    case .serialTooFarAhead: .serialTooFarAhead
    case .releaseExpired: .releaseExpired
    }
  }
}

extension BundleProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .missingFile(let file): "the bundle has no \(file.fileName)"
    case .surplusFile(let file): "the bundle must not have \(file.fileName)"
    case .tooLarge(let file, let size): "\(file.fileName) has \(size) bytes, more than the \(file.maximumSize) allowed"
    case .malformed(let problem): problem.description
    case .malformedSignature(let file, let problem): "\(file.fileName) is not a signature accepted here: \(problem)"
    case .badSignature(let file, let principal):
      "\(file.fileName) is not \(principal)'s signature over this release statement: one of the two was changed"
    case .unknownKey(let file, let fingerprint):
      "\(file.fileName) was made with the key \(fingerprint), which this host's allowed_signers does not know"
    case .otherNamespace(let file, let found, let wanted):
      "\(file.fileName) was made for '\(SafeText.escape(found))', not for '\(wanted)'"
    case .keyForOtherPurposes(let file, let principal, let namespaces, let wanted):
      "\(file.fileName) was made with a key of \(principal), who may sign \(namespaces.joined(separator: ", ")) "
        + "but not \(wanted)"
    case .expiredKey(let file, let principal, let end, let now):
      "\(file.fileName) was made with a key of \(principal) that ended at \(end); this host's clock says \(now)"
    case .keyNotYetValid(let file, let principal, let start, let now):
      "\(file.fileName) was made with a key of \(principal) that begins at \(start); this host's clock says \(now)"
    case .tooFewSigners(let principals, let threshold):
      "the release needs the signatures of \(threshold) people and has those of \(principals.count)"
        + (principals.isEmpty ? "" : " (\(principals.joined(separator: ", ")))")
    case .otherFleet(let found, let expected): "the release is for fleet \(found); this host belongs to \(expected)"
    case .otherHost(let found, let expected): "the bundle is for host \(found); this host is \(expected)"
    case .olderSerial(let found, let installed):
      "release \(found) is older than release \(installed), which this host has already accepted"
    case .equalSerialOtherBytes(let serial):
      "this host has already accepted another release \(serial): one serial was used for two releases"
    case .serialTooFarAhead(let found, let installed):
      "release \(found) is more than \(Serial.maximumStep) ahead of release \(installed), the last this host accepted"
    case .releaseExpired(let serial, let expires, let now):
      "release \(serial) expired at \(expires); this host's clock says \(now)"
    case .notInRelease(let serial): "the manifest is not part of the signed release \(serial)"
    case .manifestDisagrees(let field, let manifest, let statement):
      "the manifest's \(field) is \(manifest), the release statement's \(statement)"
    case .fileDiffers(let file, let reason): "\(file.fileName) is not the signed one: \(reason)"
    }
  }
}
