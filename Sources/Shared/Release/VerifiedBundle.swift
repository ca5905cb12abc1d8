package import Core

/// The last release a host accepted: the highest serial ever, whatever became of it afterwards.
package struct InstalledRelease: Hashable, Sendable {
  package let serial: Serial
  package let manifest: Digest
  package let statement: Digest

  package init(serial: Serial, manifest: Digest, statement: Digest) {
    self.serial = serial
    self.manifest = manifest
    self.statement = statement
  }
}

/// What this host may install. There is no way to make one but `BundleVerifier`, in this file.
package struct VerifiedBundle: Sendable {
  package let statement: ReleaseStatement
  package let manifest: Manifest
  package let manifestDigest: Digest
  package let statementDigest: Digest
  /// Nil exactly when the manifest's mode is `withdrawn`, so that "no rules" never passes for an empty ruleset.
  package let rules: PerFamily<[UInt8]>?
  /// Nil when it has none. What they say is not judged yet.
  package let sets: [UInt8]?
  package let sysctl: [UInt8]?
  /// In the order of the manifest's lines. What their rules say is not judged yet.
  package let profiles: [StagedProfile]
  /// Who signed, sorted, each once. Empty when the host took it from its own store (`readmit`).
  package let principals: [String]
  /// The host accepted exactly these bytes before: nothing new is being installed.
  package let isRepeat: Bool

  /// What to remember before anything of it is applied.
  package var asInstalled: InstalledRelease {
    InstalledRelease(serial: statement.serial, manifest: manifestDigest, statement: statementDigest)
  }

  fileprivate init(
    statement: ReleaseStatement, content: BundleVerifier.Content, statementDigest: Digest, principals: [String],
    isRepeat: Bool
  ) {
    self.statement = statement
    manifest = content.manifest
    manifestDigest = content.manifestDigest
    rules = content.rules
    sets = content.sets
    sysctl = content.sysctl
    profiles = content.profiles
    self.statementDigest = statementDigest
    self.principals = principals
    self.isRepeat = isRepeat
  }
}

/// Turns an unverified bundle into a verified one: what costs least and tells an attacker least comes first, and no
/// text is parsed before someone trusted has signed it.
package struct BundleVerifier: Sendable {
  package let allowedSigners: AllowedSigners
  package let fleet: FleetID
  package let host: HostID
  /// How many different principals must have signed; two keys of one principal count once.
  package let threshold: Int

  package init(allowedSigners: AllowedSigners, fleet: FleetID, host: HostID, threshold: Int = 1) {
    self.allowedSigners = allowedSigners
    self.fleet = fleet
    self.host = host
    self.threshold = max(1, threshold)
  }

  /// `installed` is nil on a host that has never accepted a release; its first serial may be at most 2^20.
  ///
  /// Whether the release was *issued* in the future is not asked: hosts with a slow clock must stay reachable for their
  /// owners, and a signer who could lie about it could as well sign a later release. Order comes from serials alone.
  /// Expiry and the keys' validity are judged by this host's clock.
  ///
  /// Exactly the bytes accepted last are no error, expired or not: sending them again installs nothing new.
  package func verify(
    _ bundle: UnverifiedBundle, now: UTCTime, installed: InstalledRelease?
  ) throws(BundleProblem) -> VerifiedBundle {
    let principals = try signers(of: bundle, now: now)
    let statement = try parsed { () throws(FormatProblem) in try ReleaseStatement.parse(bundle.statement) }
    let statementDigest = Digest(of: bundle.statement)
    guard statement.fleet == fleet else { throw .otherFleet(found: statement.fleet, expected: fleet) }
    let isRepeat = try checkSerial(statement, digest: statementDigest, installed: installed)
    guard isRepeat || now < statement.expires else {
      throw .releaseExpired(statement.serial, expires: statement.expires, now: now)
    }
    let content = try content(of: bundle, under: statement)
    if let installed, isRepeat, installed.manifest != content.manifestDigest {
      throw .equalSerialOtherBytes(statement.serial)
    }
    return VerifiedBundle(
      statement: statement, content: content, statementDigest: statementDigest, principals: principals,
      isRepeat: isRepeat)
  }

  /// Takes back from the host's own store what it accepted before, as after a restart. The digests, which the caller
  /// kept where only root writes, stand in for the signatures: those were checked then, and keys that have ended since
  /// must not take running rules down. All else is checked as at first, except expiry, which gates installing only.
  package func readmit(
    _ bundle: UnverifiedBundle, accepted: InstalledRelease
  ) throws(BundleProblem) -> VerifiedBundle {
    let statementDigest = Digest(of: bundle.statement)
    guard statementDigest == accepted.statement else {
      throw .fileDiffers(.statement, reason: "its digest is \(statementDigest), accepted was \(accepted.statement)")
    }
    let statement = try parsed { () throws(FormatProblem) in try ReleaseStatement.parse(bundle.statement) }
    guard statement.fleet == fleet else { throw .otherFleet(found: statement.fleet, expected: fleet) }
    guard statement.serial == accepted.serial else {
      throw .fileDiffers(.statement, reason: "its serial is \(statement.serial), accepted was \(accepted.serial)")
    }
    // A profile that went bad is no reason to run other rules than those that were signed.
    let content = try content(of: bundle, under: statement, onlyGoodProfiles: true)
    guard content.manifestDigest == accepted.manifest else {
      throw .fileDiffers(
        .manifest, reason: "its digest is \(content.manifestDigest), accepted was \(accepted.manifest)")
    }
    return VerifiedBundle(
      statement: statement, content: content, statementDigest: statementDigest, principals: [], isRepeat: true)
  }

  /// The manifest and the files it names, checked against a statement that is trusted already.
  fileprivate struct Content {
    let manifest: Manifest
    let manifestDigest: Digest
    let rules: PerFamily<[UInt8]>?
    let sets: [UInt8]?
    let sysctl: [UInt8]?
    let profiles: [StagedProfile]
  }

  private func content(
    of bundle: UnverifiedBundle, under statement: ReleaseStatement, onlyGoodProfiles: Bool = false
  ) throws(BundleProblem) -> Content {
    let proof = try parsed { () throws(FormatProblem) in try InclusionProof.parse(bundle.proof) }
    guard proof.hosts == statement.hosts, proof.verifies(bundle.manifest, under: statement.root) else {
      throw .notInRelease(statement.serial)
    }
    let manifest = try parsed { () throws(FormatProblem) in try Manifest.parse(bundle.manifest) }
    guard manifest.fleet == statement.fleet else {
      throw .manifestDisagrees(
        field: "fleet", manifest: manifest.fleet.description, statement: statement.fleet.description)
    }
    guard manifest.serial == statement.serial else {
      throw .manifestDisagrees(
        field: "serial", manifest: manifest.serial.description, statement: statement.serial.description)
    }
    guard manifest.host == host else { throw .otherHost(found: manifest.host, expected: host) }
    if let files = manifest.files {
      for family in Family.allCases {
        _ = try files[family].check(bundle.rules?[family], as: .rules(family))
      }
    } else if bundle.rules != nil {
      throw .surplusFile(.rules(.ipv4))
    }
    for (content, entry, file) in [
      (bundle.sets, manifest.sets, BundleFile.sets), (bundle.sysctl, manifest.sysctl, .sysctl),
    ] {
      guard let entry else {
        if content != nil { throw .surplusFile(file) }
        continue
      }
      _ = try entry.check(content, as: file)
    }
    var profiles: [StagedProfile] = []
    for (index, entry) in manifest.profiles.enumerated() {
      do throws(BundleProblem) {
        profiles.append(try StagedProfile(entry, at: index, of: bundle.lockdowns))
      } catch {
        guard onlyGoodProfiles else { throw error }
      }
    }
    guard onlyGoodProfiles || bundle.lockdowns.count == profiles.count else {
      throw .surplusFile(.lockdown(profiles.count, .ipv4))
    }
    return Content(
      manifest: manifest, manifestDigest: Digest(of: bundle.manifest), rules: bundle.rules, sets: bundle.sets,
      sysctl: bundle.sysctl, profiles: profiles)
  }

  /// True when exactly this statement was accepted before.
  private func checkSerial(
    _ statement: ReleaseStatement, digest: Digest, installed: InstalledRelease?
  ) throws(BundleProblem) -> Bool {
    let last = installed?.serial ?? .none
    guard statement.serial >= last else { throw .olderSerial(found: statement.serial, installed: last) }
    if let installed, statement.serial == last {
      guard installed.statement == digest else { throw .equalSerialOtherBytes(last) }
      return true
    }
    guard statement.serial.value - last.value <= Serial.maximumStep else {
      throw .serialTooFarAhead(found: statement.serial, installed: last)
    }
    return false
  }

  private func signers(of bundle: UnverifiedBundle, now: UTCTime) throws(BundleProblem) -> [String] {
    let check = SignatureCheck(allowedSigners: allowedSigners, namespace: .release, threshold: threshold)
    let text = SignedText(
      name: BundleFile.statement.fileName, bytes: bundle.statement, signatures: bundle.signatures)
    do throws(SignatureProblem) { return try check.principals(of: text, now: now) } catch { throw .signatures(error) }
  }
}

extension Manifest.File {
  /// - Returns: the content, which is the signed one.
  func check(_ content: [UInt8]?, as file: BundleFile) throws(BundleProblem) -> [UInt8] {
    guard let content else { throw .missingFile(file) }
    guard content.count == size else {
      throw .fileDiffers(file, reason: "it has \(content.count) bytes, signed were \(size)")
    }
    let found = Digest(of: content)
    guard found == digest else { throw .fileDiffers(file, reason: "its digest is \(found)") }
    return content
  }
}

/// A text's fault as a bundle's fault.
private func parsed<Value>(_ read: () throws(FormatProblem) -> Value) throws(BundleProblem) -> Value {
  do throws(FormatProblem) { return try read() } catch { throw .malformed(error) }
}
