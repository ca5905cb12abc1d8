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
  case signatures(SignatureProblem)
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
    case .notInRelease, .fileDiffers: .badSignature
    case .signatures(let problem):
      switch problem.kind {
      case .badSignature, .tooFewSigners: .badSignature
      case .unknownKey: .unknownKey
      case .expiredKey: .expiredKey
      case .otherNamespace: .otherNamespace
      }
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
    case .signatures(let problem): problem.description
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
